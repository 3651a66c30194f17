// What the watch wants of agents: that a suspect has one, and what an accused worker has open.
#include "fleet/leak_watch.hpp"
#include "fleet/remote_agent.hpp"
#include "fleet/wait.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

constexpr Duration open_deadline = 3s;

// Before there is anything to capture: what is on its heap by now is what the census of the capture is held against.
asio::awaitable<void> put_agent(std::shared_ptr<Pool> pool, GenerationPtr generation) {
    co_await attach_agent(pool, generation, true);
}

asio::awaitable<void> tell_what_is_open(std::shared_ptr<Pool> pool, GenerationPtr generation) {
    if (!generation->agent) co_await attach_agent(pool, generation, true);
    if (!generation->agent_connected()) co_return;
    boost::json::object nothing;
    const CommandResult result = co_await generation->agent->command("open", std::move(nothing), open_deadline);
    if (result.ok)
        pool->leaks().opened(*generation, result.data);
    else
        log::debug("what_is_open_is_not_told", {{"pool", pool->settings().name}, {"error", result.error}});
}

} // namespace

void LeakWatch::ask_what_is_open(const LeakLife& life) {
    const WorkerPtr worker = pool_.find(life.worker);
    if (!worker) return;
    for (const GenerationPtr& generation : {worker->current, worker->next})
        if (generation && generation->leak.get() == &life &&
            (generation->agent_connected() || why_no_remote_agent(pool_, *generation).empty()))
            spawn(pool_.context().control, "open " + life.worker,
                  tell_what_is_open(pool_.shared_from_this(), generation));
}

// Once for each suspect, one after the other: an interpreter is started for it.
void LeakWatch::put_agents() {
    if (pool_.settings().leak.policy == "observe") return;
    GenerationPtr next;
    for (const WorkerPtr& worker : pool_.workers())
        for (const GenerationPtr& generation : {worker->current, worker->next}) {
            if (!generation || generation->gone() || !generation->leak) continue;
            if (generation->remote.running) return;
            const bool suspect = generation->leak->verdict(Watched::memory).kind == leak::Class::leaking;
            if (suspect && generation->remote.tries == 0 && why_no_remote_agent(pool_, *generation).empty())
                next = generation;
        }
    if (next) spawn(pool_.context().control, "an agent for a suspect", put_agent(pool_.shared_from_this(), next));
}

} // namespace plimsoll::fleet
