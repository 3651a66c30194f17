#include "fleet/process.hpp"

#include <csignal>
#include <cstring>

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

std::shared_ptr<Process> Process::attach(asio::io_context& control, int pid, std::optional<int> parent,
                                         std::string& why_not) {
    auto held = Pidfd::open(control, pid, parent, why_not);
    return held ? std::make_shared<Attached>(std::move(held)) : nullptr;
}

} // namespace plimsoll::fleet
