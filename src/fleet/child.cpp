#include <cerrno>
#include <csignal>
#include <cstring>

#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fleet/launch.hpp"
#include "fleet/output.hpp"
#include "fleet/pidfd.hpp"
#include "fleet/process.hpp"

namespace plimsoll::fleet {
namespace {

using namespace std::chrono_literals;

constexpr Bytes kept_output = 4_KiB;
// How long an ended child stays a zombie: as long its number cannot be given away, so what is left of its group can
// still be signalled without hitting a stranger.
constexpr Duration reaped_after = 1s;

class Started final : public Child, public std::enable_shared_from_this<Started> {
public:
    Started(asio::io_context& control, std::shared_ptr<Pidfd> held, std::shared_ptr<Output> output)
        : held_(std::move(held)), output_(std::move(output)), reap_(control) {}
    ~Started() override {
        if (output_) output_->close();
        if (exit_) reap();
    }
    void start() {
        if (output_) output_->start();
        const auto told = [weak = weak_from_this()] {
            if (const auto self = weak.lock()) self->on_end();
        };
        held_->watch(told, shared_from_this()); // alive until it has ended: it must be reaped
    }

    int pid() const override { return held_->pid(); }
    bool running() const override { return held_->running(); }
    std::uint64_t start_time() const override { return held_->start_time(); }
    bool send(int signal, std::string& why_not) override { return held_->send(signal, why_not); }
    asio::awaitable<bool> ended(Duration bound) override { return Pidfd::ended(held_, bound); }
    std::optional<Exit> exit() const override { return exit_; }
    const std::string& output() const override {
        static const std::string none;
        return output_ ? output_->kept() : none;
    }
    std::uint64_t output_dropped() const override { return output_ ? output_->dropped() : 0; }
    void kill_group(int signal) override {
        if (!reaped_) ::kill(-held_->pid(), signal);
    }

private:
    void on_end() {
        siginfo_t info{};
        exit_.emplace();
        if (::waitid(P_PIDFD, static_cast<id_t>(held_->fd()), &info, WEXITED | WNOWAIT | WNOHANG) == 0 &&
            info.si_pid != 0)
            (info.si_code == CLD_EXITED ? exit_->code : exit_->signal) = info.si_status;
        if (output_) output_->catch_up();
        reap_.expires_after(reaped_after);
        reap_.async_wait([weak = weak_from_this()](boost::system::error_code) {
            if (const auto self = weak.lock()) self->reap();
        });
    }
    void reap() {
        if (reaped_) return;
        reaped_ = true;
        ::waitid(P_PIDFD, static_cast<id_t>(held_->fd()), nullptr, WEXITED | WNOHANG);
    }

    std::shared_ptr<Pidfd> held_;
    std::shared_ptr<Output> output_; // null: ours is inherited
    asio::steady_timer reap_;
    std::optional<Exit> exit_;
    bool reaped_ = false;
};

} // namespace

std::shared_ptr<Child> Child::start(asio::io_context& control, const Command& command, std::string& why_not) {
    std::shared_ptr<Output> output;
    Fd write_end;
    if (command.capture_output || !command.log_name.empty()) {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) {
            why_not = std::string("cannot make a pipe for the output of a command: ") + std::strerror(errno);
            return nullptr;
        }
        write_end.reset(ends[1]);
        output =
            command.capture_output
                ? std::make_shared<Output>(control, Fd(ends[0]), std::string(), Output::Keep::first, command.max_output)
                : std::make_shared<Output>(control, Fd(ends[0]), command.log_name, Output::Keep::last, kept_output);
    }
    const int pid = launch(command, write_end.get(), why_not);
    if (pid == 0) return nullptr;
    // Its number cannot have been reused: nobody but us reaps it.
    auto held = Pidfd::hold_child(control, pid, why_not);
    if (!held) {
        ::kill(-pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        return nullptr;
    }
    auto child = std::make_shared<Started>(control, std::move(held), std::move(output));
    child->start();
    return child;
}

} // namespace plimsoll::fleet
