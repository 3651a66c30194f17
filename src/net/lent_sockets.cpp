#include "net/lent_sockets.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <sstream>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/address.hpp"
#include "net/heirlooms.hpp"

namespace plimsoll::net {

namespace {

constexpr int first_lent = 3; // the protocol of sd_listen_fds(3)
constexpr int most = 256;     // sockets: a number that somebody else wrote

std::optional<int> number_in(const char* variable) {
    const char* text = std::getenv(variable);
    char* end = nullptr;
    const long number = text ? std::strtol(text, &end, 10) : 0;
    return text && end != text && *end == '\0' ? std::optional(static_cast<int>(number)) : std::nullopt;
}

// Empty: of no kind that a listener may have.
std::string address_of(int fd) {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return {};
    Address address;
    char host[INET6_ADDRSTRLEN] = {};
    if (storage.ss_family == AF_UNIX) {
        const auto& path = reinterpret_cast<const sockaddr_un&>(storage).sun_path;
        if (length <= offsetof(sockaddr_un, sun_path) || path[0] == '\0') return {};
        address.family = Address::Family::unix_socket;
        address.path = path;
    } else if (storage.ss_family == AF_INET) {
        const auto& inet = reinterpret_cast<const sockaddr_in&>(storage);
        address.host = ::inet_ntop(AF_INET, &inet.sin_addr, host, sizeof host);
        address.port = ntohs(inet.sin_port);
    } else if (storage.ss_family == AF_INET6) {
        const auto& inet = reinterpret_cast<const sockaddr_in6&>(storage);
        address.host = ::inet_ntop(AF_INET6, &inet.sin6_addr, host, sizeof host);
        address.port = ntohs(inet.sin6_port);
    } else {
        return {};
    }
    return to_string(address);
}

} // namespace

LentSockets& LentSockets::of_this_process() {
    static LentSockets lent;
    return lent;
}

void LentSockets::take(int fd) {
    if (!Heirlooms::adopt(fd)) return;
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (auto address = address_of(fd); !address.empty()) lent_.push_back({std::move(address), fd});
}

void LentSockets::inherit() {
    if (const char* handed_down = std::getenv(variable)) {
        std::istringstream words(handed_down);
        for (int fd = -1; words >> fd;) take(fd);
    } else if (number_in("LISTEN_PID") == ::getpid()) {
        const int count = std::clamp(number_in("LISTEN_FDS").value_or(0), 0, most);
        for (int fd = first_lent; fd < first_lent + count; ++fd) take(fd);
    }
    for (const char* each : {variable, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(each);
}

// An address may be written in several ways: as the kernel has it, it is compared.
int LentSockets::find(std::string_view address) const {
    const auto as_bound = [](std::string_view text) {
        sockaddr_storage storage{};
        socklen_t length = 0;
        const auto parsed = parse_address(text);
        return parsed && to_sockaddr(*parsed, storage, length) ? std::optional(storage) : std::nullopt;
    };
    const auto wanted = as_bound(address);
    const auto found = std::ranges::find_if(lent_, [&](const Lent& each) {
        const auto lent = as_bound(each.address);
        return wanted && lent && std::memcmp(&*wanted, &*lent, sizeof *lent) == 0;
    });
    return found == lent_.end() ? -1 : found->fd;
}

std::string LentSockets::overlapping(std::string_view address) const {
    const auto asked = parse_address(address);
    for (const Lent& each : lent_) {
        const auto lent = parse_address(each.address);
        if (asked && lent && overlap(*asked, *lent)) return each.address;
    }
    return {};
}

std::vector<std::string> LentSockets::addresses() const {
    std::vector<std::string> addresses;
    for (const Lent& each : lent_) addresses.push_back(each.address);
    return addresses;
}

std::string LentSockets::text() const {
    std::ostringstream out;
    for (const Lent& each : lent_) out << each.fd << ' ';
    return out.str();
}

std::vector<int> LentSockets::all() const {
    std::vector<int> fds;
    for (const Lent& each : lent_) fds.push_back(each.fd);
    return fds;
}

} // namespace plimsoll::net
