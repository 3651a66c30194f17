// The epoll set that holds all traffic sockets of one reactor, edge-triggered. The reactor's io_context watches it through a
// single descriptor, so that timers, signals and posted work stay plain Asio while a socket costs no epoll_ctl a wait.
#pragma once

#include <cstdint>

#include "net/io/source.hpp"

namespace plimsoll::net::io {

class Poller {
public:
    Poller();
    ~Poller();
    Poller(const Poller&) = delete;
    Poller& operator=(const Poller&) = delete;

    int descriptor() const { return epoll_; }
    bool add(int fd, Source& source, std::uint32_t events); // false: out of watches or memory
    bool change(int fd, Source& source, std::uint32_t events);
    void remove(int fd); // before close(), which removes only what no child that is being started holds a copy of

    // Tells each source what happened to it, once a batch. Returns how many there were. Sources only take note (they run no
    // coroutine), so that none is destroyed while its own event still lies in the batch.
    int poll();
    // How often all that had happened was told: something of this very round may be unknown still.
    std::uint64_t rounds() const { return rounds_; }

private:
    int epoll_ = -1;
    std::uint64_t rounds_ = 0;
};

} // namespace plimsoll::net::io
