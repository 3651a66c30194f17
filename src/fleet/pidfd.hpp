// A process held by descriptor. The number of a process may be given to another one when it is gone; the descriptor
// never is. It becomes readable when the process has ended, whoever its parent is.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "fleet/wait.hpp"

namespace plimsoll::fleet {

class Pidfd : public std::enable_shared_from_this<Pidfd> {
public:
    // Null, with a reason, where there is no such process, it has ended, or its parent is another one.
    static std::shared_ptr<Pidfd> open(asio::io_context& control, int pid, std::optional<int> parent,
                                       std::string& why_not);
    // A child of ours that nobody has reaped: it may have ended already.
    static std::shared_ptr<Pidfd> hold_child(asio::io_context& control, int pid, std::string& why_not);
    Pidfd(asio::io_context& control, int pid, int fd);

    int pid() const { return pid_; }
    int fd() { return fd_.native_handle(); }
    std::uint64_t start_time() const { return start_time_; }
    bool running() const;
    bool send(int signal, std::string& why_not);

    // on_end is called once, before anybody who awaits the end hears of it. `alive` is kept until then, or until nobody
    // looks any more because the program stops.
    void watch(std::function<void()> on_end, std::shared_ptr<void> alive);
    static asio::awaitable<bool> ended(std::shared_ptr<Pidfd> self, Duration bound);

private:
    void wait(std::shared_ptr<void> alive);
    void settle(); // looks whether it has ended, and tells everybody

    asio::io_context& control_;
    mutable asio::posix::stream_descriptor fd_;
    const int pid_;
    std::uint64_t start_time_ = 0;
    bool ended_ = false;
    std::function<void()> on_end_;
    std::vector<asio::steady_timer*> waiting_; // of the coroutines that await the end
};

} // namespace plimsoll::fleet
