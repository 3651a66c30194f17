#include "fleet/pidfd.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fleet/fd.hpp"
#include "sense/memory.hpp"

namespace plimsoll::fleet {

std::shared_ptr<Pidfd> Pidfd::hold_child(asio::io_context& control, int pid, std::string& why_not) {
    Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); // close-on-exec by itself
    if (!fd) {
        why_not = "process " + std::to_string(pid) +
                  (errno == ESRCH ? " does not exist" : std::string(" cannot be held: ") + std::strerror(errno));
        return nullptr;
    }
    auto held = std::make_shared<Pidfd>(control, pid, fd.release());
    if (const auto stat = sense::Reader().stat(pid)) held->start_time_ = stat->start_time;
    return held;
}

std::shared_ptr<Pidfd> Pidfd::open(asio::io_context& control, int pid, std::optional<int> parent,
                                   std::string& why_not) {
    auto held = hold_child(control, pid, why_not);
    if (!held) return nullptr;
    const std::string name = "process " + std::to_string(pid);
    const auto stat = sense::Reader().stat(pid);
    // Still running after the look at /proc: so what was read there was about the process that is held.
    if (!stat || stat->state == 'Z' || stat->state == 'X' || !held->running()) {
        why_not = name + " has ended";
        return nullptr;
    }
    if (parent && stat->parent != *parent) {
        why_not =
            name + " is a child of process " + std::to_string(stat->parent) + ", not of " + std::to_string(*parent);
        return nullptr;
    }
    held->start_time_ = stat->start_time;
    return held;
}

Pidfd::Pidfd(asio::io_context& control, int pid, int fd) : control_(control), fd_(control, fd), pid_(pid) {}

bool Pidfd::running() const {
    if (ended_) return false;
    pollfd ready{fd_.native_handle(), POLLIN, 0};
    return ::poll(&ready, 1, 0) == 0;
}

bool Pidfd::send(int signal, std::string& why_not) {
    if (!running())
        why_not = "process " + std::to_string(pid_) + " has ended";
    else if (::syscall(SYS_pidfd_send_signal, fd(), signal, nullptr, 0) != 0)
        why_not = "process " + std::to_string(pid_) + " cannot be signalled: " + std::strerror(errno);
    else
        return true;
    return false;
}

void Pidfd::watch(std::function<void()> on_end, std::shared_ptr<void> alive) {
    on_end_ = std::move(on_end);
    wait(std::move(alive));
}

void Pidfd::wait(std::shared_ptr<void> alive) {
    const auto look = [weak = weak_from_this(), alive = std::move(alive)](boost::system::error_code ec) {
        const auto self = weak.lock();
        if (!self || ec) return;
        self->settle();
        // Asio may wake a descriptor for an event that belonged to an earlier one with the same place in its tables.
        if (!self->ended_) self->wait(alive);
    };
    fd_.async_wait(asio::posix::stream_descriptor::wait_read, look);
}

void Pidfd::settle() {
    if (ended_ || running()) return;
    ended_ = true;
    if (const auto on_end = std::exchange(on_end_, {})) on_end();
    for (asio::steady_timer* waiting : waiting_) waiting->cancel();
}

asio::awaitable<bool> Pidfd::ended(std::shared_ptr<Pidfd> self, Duration bound) {
    self->settle();
    if (self->ended_ || bound <= Duration::zero()) co_return self->ended_;
    asio::steady_timer over(self->control_, bound);
    // Leaves the list however the coroutine ends, also when it is destroyed while it waits.
    struct Place {
        Pidfd& held;
        asio::steady_timer* timer;
        ~Place() { std::erase(held.waiting_, timer); }
    };
    self->waiting_.push_back(&over);
    const Place place{*self, &over};
    co_await over.async_wait(as_result); // over, cancelled by the end, or by whoever no longer wants to know
    self->settle();
    co_return self->ended_;
}

} // namespace plimsoll::fleet
