#include "net/io/descriptors.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <limits>
#include <mutex>

#include <unistd.h>

namespace plimsoll::net::io {

namespace {

constexpr rlim_t smallest_reserve = 32, largest_reserve = 512;
constexpr rlim_t most = 1 << 24; // beyond it a limit is no limit

rlimit current() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) limit = {most, most};
    return limit;
}

std::once_flag raised;
const rlimit inherited = current();
std::atomic<int> ceiling = std::numeric_limits<int>::max(); // the first number of the reserve

} // namespace

void raise_descriptor_limit() {
    std::call_once(raised, [] {
        auto limit = inherited;
        limit.rlim_cur = limit.rlim_max;
        if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) limit = inherited;
        const auto all = std::min(limit.rlim_cur, most);
        const auto reserve = std::clamp(all / 8, smallest_reserve, largest_reserve);
        ceiling = static_cast<int>(all > 2 * reserve ? all - reserve : all / 2);
    });
}

rlimit inherited_descriptor_limit() { return inherited; }

unsigned affordable_clients() {
    const int path = ceiling.load(std::memory_order_relaxed);
    return static_cast<unsigned>(std::max(1, path / 2));
}

bool is_of_the_reserve(int fd) { return fd >= ceiling.load(std::memory_order_relaxed); }

int spare_the_reserve(int fd) {
    if (!is_of_the_reserve(fd)) return fd;
    ::close(fd);
    errno = EMFILE;
    return -1;
}

} // namespace plimsoll::net::io
