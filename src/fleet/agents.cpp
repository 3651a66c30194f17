// What agents say of their workers: the pool's ears.
#include <algorithm>

#include <sys/wait.h>

#include "fleet/leak_life.hpp"
#include "fleet/leak_watch.hpp"
#include "fleet/monitor.hpp"
#include "fleet/pool.hpp"
#include "fleet/process_tree.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

void Pool::bind(const WorkerPtr& worker, const GenerationPtr& generation, const std::shared_ptr<Agent>& agent) {
    const Hello& hello = agent->hello();
    std::erase_if(generation->siblings, [](const std::weak_ptr<Agent>& each) {
        const auto sibling = each.lock();
        return !sibling || !sibling->connected();
    });
    if (generation->agent && generation->agent != agent) {
        seats_.erase(generation->agent.get());
        if (generation->agent_connected() && generation->agent_pid() != hello.pid)
            generation->siblings.push_back(generation->agent);
    }
    generation->agent = agent;
    generation->ready = generation->ready || hello.ready;
    // Where there is an address an answer from there tells, and not before the application is loaded.
    if (!generation->address) generation->said_bye = false;
    if (hello.started_at)
        generation->started_at =
            WallTime(std::chrono::duration_cast<WallTime::duration>(std::chrono::duration<double>(*hello.started_at)));
    seats_[agent.get()] = {worker, generation};
    const int pid = pid_here(hello);
    if (pid > 0 && generation->pid != pid && !hello.remote) { // of a remote one all of that was known before
        std::string why_not;
        const auto parent = hello.same_pids ? std::optional(hello.ppid) : std::nullopt;
        auto process = Process::attach(context_->control, pid, parent, why_not);
        if (process) {
            generation->pid = pid;
            // A child of ours stays the one that is signalled and awaited: the agent's process lives below it.
            if (!generation->child) {
                generation->process = std::move(process);
                watch(worker, generation);
            }
        } else {
            log::warn("process_not_held", {{"worker", worker->id}, {"pid", pid}, {"why", why_not}});
        }
    }
    if (generation->key != 0) {
        generation->slots = slots_of(*generation);
        net_->set_slots(generation->key, generation->slots);
    }
    warn_of_max_requests(hello);
}

void Pool::warn_of_max_requests(const Hello& hello) {
    if (warned_of_max_requests_ || hello.max_requests.value_or(0) == 0) return;
    warned_of_max_requests_ = true;
    log::warn("max_requests_is_set",
              {{"pool", settings_.name},
               {"max_requests", *hello.max_requests},
               {"advice", "workers that recycle themselves can lose requests: set max_requests to 0 and let "
                          "[pool.recycle] do it"}});
}

// Which worker's process an agent was put into: that one alone may say so, and as long as it lives (we may have been
// started again since).
std::pair<WorkerPtr, GenerationPtr> Pool::remote(const Hello& hello) const {
    for (const WorkerPtr& worker : workers_)
        for (const GenerationPtr& generation : {worker->current, worker->next})
            if (generation && !generation->gone() && generation->pid > 0 && hello.same_pids &&
                (hello.pid == generation->remote.pid || hello.pid == generation->pid))
                return {worker, generation};
    return {};
}

std::string Pool::refuse(const Hello& hello) {
    if (!source_) return "the pool is not started";
    if (hello.remote)
        return remote(hello).second ? std::string{}
                                    : "pid " + std::to_string(hello.pid) + " is no worker of pool " + settings_.name +
                                          ": no agent was put into it";
    // A server that a worker's application runs as a helper inherits its environment. Arbiters, supervisors and masters are
    // ancestors of workers too, but no agent is bound in them.
    const int pid = pid_here(hello);
    const std::vector<int> line = lineage(pid);
    for (const WorkerPtr& worker : workers_)
        for (const GenerationPtr& generation : {worker->current, worker->next}) {
            if (line.empty() || !generation || generation->gone() || !generation->agent_connected()) continue;
            const int other = pid_here(generation->agent->hello());
            if (other != pid && std::ranges::find(line, other) != line.end())
                return "pid " + std::to_string(hello.pid) + " was started by " + worker->id + " (pid " +
                       std::to_string(other) +
                       "): it is no worker but a part of one; take PLIMSOLL_CONTROL out of its environment";
        }
    return source_->refuse(hello);
}

// Its process has executed itself anew: the pid is the same, and nothing that the former program held is left. A child of ours
// keeps its generation, as it has the address that we gave it; of a server's own worker the next generation announces itself.
void Pool::begins_anew(const WorkerPtr& worker, const GenerationPtr& generation) {
    log::info("worker_executed_itself_anew", {{"pool", settings_.name},
                                              {"worker", worker->id},
                                              {"generation", generation->number},
                                              {"process", generation->name_of_process()}});
    if (generation->leak) generation->leak->forget_memory();
    if (generation->child) return;
    generation->said_bye = true; // on purpose, whatever it did not say
    died(worker, generation);
}

void Pool::connected(const std::shared_ptr<Agent>& agent) {
    const Hello& hello = agent->hello();
    if (hello.remote) {
        if (const auto [worker, generation] = remote(hello); generation) bind(worker, generation, agent);
        return;
    }
    struct {
        WorkerPtr worker;
        GenerationPtr generation;
    } former;
    // The same process again: its connection broke, or we were away.
    for (const WorkerPtr& worker : workers_)
        for (const GenerationPtr& generation : {worker->current, worker->next}) {
            if (!generation || !generation->agent || generation->gone()) continue;
            const Hello& known = generation->agent->hello();
            if (known.pid != hello.pid || known.host != hello.host || known.pid_namespace != hello.pid_namespace)
                continue;
            if (known.started_at == hello.started_at) {
                log::debug("agent_is_back", {{"worker", worker->id}, {"pid", hello.pid}});
                return bind(worker, generation, agent);
            }
            if (known.same_pids && hello.same_pids) former = {worker, generation};
        }
    if (former.generation) begins_anew(former.worker, former.generation);
    source_->connected(agent);
}

void Pool::ready(Agent& agent) {
    const auto seat = seats_.find(&agent);
    if (seat == seats_.end()) return;
    if (const auto generation = seat->second.generation.lock()) generation->ready = true;
}

void Pool::sample(Agent& agent, const Sample& sample) {
    const auto seat = seats_.find(&agent);
    if (seat == seats_.end()) return;
    const auto generation = seat->second.generation.lock();
    if (!generation) return;
    monitor_->take(*generation, sample);
    leaks_->sampled(*generation);
}

void Pool::disconnected(Agent& agent, bool said_bye) {
    const auto seat = seats_.find(&agent);
    if (seat == seats_.end()) return;
    const auto worker = seat->second.worker.lock();
    const auto generation = seat->second.generation.lock();
    seats_.erase(seat);
    if (!worker || !generation || generation->agent.get() != &agent) return;
    if (generation->gone() || stopping()) return;
    // Several processes behind one address: one of them left, the others serve on.
    while (!generation->siblings.empty()) {
        const auto sibling = generation->siblings.back().lock();
        generation->siblings.pop_back();
        if (sibling && sibling->connected()) return bind(worker, generation, sibling);
    }
    // Who only died takes no goodbye back: another one may have said it, and nobody has answered since.
    generation->said_bye = generation->said_bye || said_bye;
    // After a bye it gets nobody: its server was reloaded, scaled down, or replaces it. Else it may be dying, and rests already because it
    // broke off a request: to say that it accepts would end that.
    if (generation->said_bye) update_acceptance(*worker, *generation);
    if (generation->process && !said_bye) return; // held by pidfd: it tells its end by itself
    if (generation->ending && !generation->process)
        died(worker, generation); // it was told to end, and this is all that can be seen of it
    else
        look_after(worker, generation);
}

namespace {

Exit exit_of(const Exited& word) {
    Exit exit;
    if (WIFEXITED(word.status)) exit.code = WEXITSTATUS(word.status);
    if (WIFSIGNALED(word.status)) exit.signal = WTERMSIG(word.status);
    return exit;
}

// Containers may count their pids alike.
bool is_agents(const Generation& generation, const Exited& word) {
    if (!generation.agent || generation.agent_pid() != word.pid) return false;
    const Hello& hello = generation.agent->hello();
    return (word.host.empty() || word.host == hello.host) &&
           (word.pid_namespace == 0 || word.pid_namespace == hello.pid_namespace);
}

// A child of ours is awaited as such: a worker that ended below it is its own to replace.
bool is_meant(const Generation& generation, const Exited& word) {
    if (!is_agents(generation, word)) return false;
    return !generation.child || generation.child->pid() == word.pid;
}

} // namespace

void Pool::exited(const Exited& word) {
    std::vector<std::pair<WorkerPtr, GenerationPtr>> meant;
    for (const WorkerPtr& worker : workers_)
        for (const GenerationPtr& generation : {worker->current, worker->next})
            if (generation && is_meant(*generation, word)) meant.emplace_back(worker, generation);
    for (const GenerationPtr& generation : dead_)
        if (!generation->exit && is_meant(*generation, word)) meant.emplace_back(nullptr, generation);
    for (const WorkerPtr& worker : workers_)
        if (const auto& server = worker->current;
            server && !server->gone() && server->child && is_agents(*server, word) && !is_meant(*server, word))
            log::warn("servers_worker_ended",
                      {{"worker", worker->id}, {"pid", word.pid}, {"how", exit_of(word).text()}});
    // Several are meant where an older agent does not say its host: only the silence that follows tells who it was.
    if (meant.size() > 1 && !meant.front().second->agent->hello().same_pids) return;
    for (const auto& [worker, generation] : meant) {
        generation->boot_failed = word.boot_failed;
        if (!generation->exit || (!generation->exit->code && !generation->exit->signal))
            generation->exit = exit_of(word);
        if (worker) died(worker, generation);
    }
    if (meant.empty() && source_) source_->exited(word);
}

} // namespace plimsoll::fleet
