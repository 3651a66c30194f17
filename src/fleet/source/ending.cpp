#include "fleet/source/ending.hpp"

#include <csignal>

#include "fleet/rung.hpp"
#include "fleet/stacks_file.hpp"
#include "fleet/wait.hpp"
#include "sense/memory.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

constexpr Duration signal_deadline = 2s; // for an agent to pass a signal on
constexpr Duration stacks_time = 300ms;  // for a faulthandler to write

constexpr Rung foreign_ladder[] = {{SIGTERM, "SIGTERM"}, {SIGABRT, "SIGABRT"}, {SIGKILL, "SIGKILL"}};

} // namespace

bool same_server(const Hello& a, const Hello& b) {
    return a.ppid == b.ppid && a.host == b.host && a.pid_namespace == b.pid_namespace;
}

std::shared_ptr<Agent> agent_beside(Pool& pool, const Generation& generation) {
    if (!generation.agent_of_server()) return nullptr;
    const Hello& hello = generation.agent->hello();
    for (const WorkerPtr& worker : pool.workers())
        for (const GenerationPtr& other : {worker->current, worker->next}) {
            if (!other || other.get() == &generation || !other->agent_connected() || other->gone()) continue;
            if (!other->agent_of_server()) continue; // nothing of its server hears it
            if (same_server(other->agent->hello(), hello)) return other->agent;
        }
    return generation.agent_connected() ? generation.agent : nullptr;
}

asio::awaitable<std::string> send_signal(std::shared_ptr<Pool> pool, GenerationPtr generation, int signal) {
    if (signal == SIGABRT && co_await abort_by_sibling(pool, generation)) co_return std::string{};
    if (generation->process) {
        std::string why_not;
        generation->process->send(signal, why_not);
        co_return why_not;
    }
    const auto agent = agent_beside(*pool, *generation);
    if (!agent) co_return std::string("its process is not visible here, and no agent of its server is connected");
    boost::json::object args{{"pid", generation->agent_pid()}, {"signal", signal}};
    const CommandResult result = co_await agent->command("signal", std::move(args), signal_deadline);
    co_return result.ok ? std::string{} : "its agent did not pass the signal on: " + result.error;
}

namespace {

bool is_stopped(const Generation& generation) {
    const auto stat = generation.pid > 0 ? sense::Reader().stat(generation.pid) : std::nullopt;
    return stat && stat->state == 'T';
}

// SIGABRT's stacks may be the application's own faulthandler's. Then the agent has another signal for ours; whatever it
// says, only a real-time one is sent.
asio::awaitable<void> have_stacks_written(std::shared_ptr<Pool> pool, GenerationPtr generation, const Said& said) {
    if (!generation->agent) co_return;
    const Hello& hello = generation->agent->hello();
    const int signal = hello.stacks_signal;
    if (hello.stacks.empty())
        said("its agent has no file for its stacks: they are where the application's own faulthandler writes them, if "
             "anywhere");
    if (hello.stacks.empty() || signal < SIGRTMIN || signal > SIGRTMAX) co_return;
    if (!(co_await send_signal(pool, generation, signal)).empty()) co_return;
    const auto gone = [generation] { return generation->gone(); };
    co_await until(gone, stacks_time);
}

} // namespace

asio::awaitable<bool> end_by_signals(std::shared_ptr<Pool> pool, GenerationPtr generation, bool told, Said said) {
    const Duration bound = pool->settings().recycle.end_timeout;
    const auto gone = [generation] { return generation->gone(); };
    if (is_stopped(*generation)) {
        said("it was stopped: SIGCONT, so that it can end in an orderly way");
        co_await send_signal(pool, generation, SIGCONT);
    }
    for (const Rung& rung : foreign_ladder) {
        if (generation->gone()) co_return true;
        if (rung.signal != SIGTERM) said("it did not end in time: " + std::string(rung.name));
        if (rung.signal == SIGABRT) co_await have_stacks_written(pool, generation, said);
        if (rung.signal != SIGTERM || !told) {
            const std::string why_not = co_await send_signal(pool, generation, rung.signal);
            if (!why_not.empty() && !generation->gone())
                said(std::string(rung.name) + " could not be sent: " + why_not);
        }
        if (co_await until(gone, bound)) co_return true;
    }
    co_return generation->gone();
}

} // namespace plimsoll::fleet
