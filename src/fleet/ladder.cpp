#include <array>
#include <csignal>

#include "fleet/process.hpp"
#include "fleet/rung.hpp"
#include "fleet/wait.hpp"
#include "sense/memory.hpp"

namespace plimsoll::fleet {
namespace {

constexpr std::array ladder = {Rung{SIGTERM, "TERM"}, Rung{SIGABRT, "ABRT"}, Rung{SIGKILL, "KILL"}};

bool is_stopped(const Process& process) {
    const auto stat = sense::Reader().stat(process.pid());
    return stat && stat->state == 'T';
}

} // namespace

asio::awaitable<bool> end_by_ladder(std::shared_ptr<Process> process, Duration bound,
                                    std::function<void(const std::string& rung)> said) {
    for (const Rung& rung : ladder) {
        if (!process->running()) break;
        std::string why_not;
        if (process->send(rung.signal, why_not))
            said(rung.name);
        else if (process->running())
            said(std::string(rung.name) + " failed: " + why_not);
        // A stopped process gets no signal but KILL. Woken, it can end in an orderly way, and this is no worse for
        // whoever stopped it than the KILL that would follow.
        if (rung.signal != SIGKILL && is_stopped(*process) && process->send(SIGCONT, why_not))
            said("CONT: it was stopped");
        if (co_await process->ended(bound)) co_return true;
    }
    co_return co_await process->ended(Duration::zero());
}

} // namespace plimsoll::fleet
