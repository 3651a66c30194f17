#include "fleet/process.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <ctime>

#include <unistd.h>

#include "fleet/pidfd.hpp"

namespace plimsoll::fleet {
namespace {

// Not our child: how it ended is its parent's to know.
class Attached final : public Process {
public:
    explicit Attached(std::shared_ptr<Pidfd> held) : held_(std::move(held)) { held_->watch({}, nullptr); }

    int pid() const override { return held_->pid(); }
    bool running() const override { return held_->running(); }
    std::uint64_t start_time() const override { return held_->start_time(); }
    bool send(int signal, std::string& why_not) override { return held_->send(signal, why_not); }
    asio::awaitable<bool> ended(Duration bound) override { return Pidfd::ended(held_, bound); }
    std::optional<Exit> exit() const override {
        if (running()) return std::nullopt;
        return Exit{};
    }

private:
    std::shared_ptr<Pidfd> held_;
};

} // namespace

std::string Exit::text() const {
    if (code) return "exit code " + std::to_string(*code);
    if (!signal) return "ended, cause unknown";
    const char* name = ::sigabbrev_np(*signal);
    return "signal " + std::to_string(*signal) + (name != nullptr ? std::string(" (SIG") + name + ")" : std::string());
}

std::chrono::system_clock::time_point started_at(const Process& process) {
    using WallTime = std::chrono::system_clock::time_point;
    static const double ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
    timespec up{};
    ::clock_gettime(CLOCK_BOOTTIME, &up);
    const double age = static_cast<double>(up.tv_sec) + static_cast<double>(up.tv_nsec) / 1e9 -
                       static_cast<double>(process.start_time()) / ticks;
    return std::chrono::system_clock::now() -
           std::chrono::duration_cast<WallTime::duration>(std::chrono::duration<double>(std::max(age, 0.0)));
}

std::shared_ptr<Process> Process::attach(asio::io_context& control, int pid, std::optional<int> parent,
                                         std::string& why_not) {
    auto held = Pidfd::open(control, pid, parent, why_not);
    return held ? std::make_shared<Attached>(std::move(held)) : nullptr;
}

} // namespace plimsoll::fleet
