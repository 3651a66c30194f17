#include "net/io/poller.hpp"

#include <array>
#include <cerrno>
#include <system_error>

#include <sys/epoll.h>
#include <unistd.h>

namespace plimsoll::net::io {

Poller::Poller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
}

Poller::~Poller() { ::close(epoll_); }

bool Poller::add(int fd, Source& source, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &source;
    return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
}

bool Poller::change(int fd, Source& source, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &source;
    return ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) == 0;
}

void Poller::remove(int fd) { ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr); }

int Poller::poll() {
    std::array<epoll_event, 256> batch;
    const int count = ::epoll_wait(epoll_, batch.data(), static_cast<int>(batch.size()), 0);
    if (count < static_cast<int>(batch.size())) ++rounds_; // else more may wait
    for (int i = 0; i < count; ++i) {
        auto& event = batch[static_cast<std::size_t>(i)];
        static_cast<Source*>(event.data.ptr)->ready(event.events);
    }
    return count > 0 ? count : 0;
}

} // namespace plimsoll::net::io
