#include "net/io/pipes.hpp"

#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "net/io/descriptors.hpp"

namespace plimsoll::net::io {

namespace {

void close_both(const Pipes::Ends& ends) {
    ::close(ends.out);
    ::close(ends.in);
}

} // namespace

Pipes::Lease::Lease(Lease&& other) noexcept
    : filled(std::exchange(other.filled, 0)), home_(std::exchange(other.home_, nullptr)), ends_(other.ends_) {}

Pipes::Lease& Pipes::Lease::operator=(Lease&& other) noexcept {
    std::swap(filled, other.filled);
    std::swap(home_, other.home_);
    std::swap(ends_, other.ends_);
    return *this;
}

Pipes::Lease::~Lease() {
    if (!home_) return;
    if (filled == 0 && home_->idle_.size() < spares)
        home_->idle_.push_back(ends_);
    else
        close_both(ends_);
}

Pipes::~Pipes() {
    for (const auto& ends : idle_) close_both(ends);
}

Pipes::Lease Pipes::lease() {
    if (!idle_.empty()) {
        const auto ends = idle_.back();
        idle_.pop_back();
        return {*this, ends};
    }
    int fds[2];
    if (::pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0) return {};
    if (spare_the_reserve(fds[1]) < 0) { // the higher one of the two
        ::close(fds[0]);
        return {};
    }
    // The kernel bounds the size for the unprivileged; what it gives is good enough.
    int capacity = ::fcntl(fds[1], F_SETPIPE_SZ, wanted_capacity);
    if (capacity < 0) capacity = ::fcntl(fds[1], F_GETPIPE_SZ);
    return {*this, {fds[0], fds[1], capacity > 0 ? static_cast<std::size_t>(capacity) : 65536}};
}

} // namespace plimsoll::net::io
