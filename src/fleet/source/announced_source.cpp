#include "fleet/source/announced_source.hpp"

#include <algorithm>

#include "fleet/process_tree.hpp"
#include "fleet/wait.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

// A worker that left on purpose (its server was reloaded or scaled down) is not waited for as long as one that died.
constexpr Duration wait_after_goodbye = 5s;

bool empty(const WorkerPtr& worker) { return !worker->current || worker->current->gone(); }

void give_address(Generation& generation, const Hello& hello) {
    generation.address = net::parse_address(hello.address);
    if (!generation.address)
        generation.advice =
            hello.server == "other"
                ? "its server is not known to the agent: start it with [pool.source] kind = \"command\""
                : "the agent made no private listener: set PLIMSOLL_LISTEN to unix or tcp in its environment";
}

} // namespace

AnnouncedSource::AnnouncedSource(Pool& pool) : pool_(pool) {
    if (!pool.settings().source.command.empty()) server_ = std::make_shared<Server>(pool);
}

std::string AnnouncedSource::start() {
    if (server_) return server_->start();
    log::info("awaiting_agents", {{"pool", pool_.settings().name}, {"control", pool_.context().control_address}});
    return {};
}

asio::awaitable<void> AnnouncedSource::stop() {
    if (server_) co_await server_->stop();
}

// Its server forks the next one by itself; a place that stays empty is one that the server does not have any more.
void AnnouncedSource::vacated(WorkerPtr worker) {
    const bool on_purpose = worker->current && worker->current->said_bye;
    pool_.forget_place(worker, on_purpose ? wait_after_goodbye : pool_.settings().recycle.ready_timeout);
}

std::string AnnouncedSource::refuse(const Hello& hello) {
    if (!server_ || !hello.same_pids || server_->pid() == 0) return {};
    if (descends_from(hello.pid, server_->pid())) return {};
    return "pool " + pool_.settings().name + " has a server of its own, and pid " + std::to_string(hello.pid) +
           " is none of its workers";
}

void AnnouncedSource::connected(std::shared_ptr<Agent> agent) {
    WorkerPtr worker;
    const bool awaited = awaited_ && !awaited_->arrived;
    if (awaited) {
        worker = awaited_->worker;
    } else {
        auto& workers = pool_.workers();
        const auto place = std::ranges::find_if(workers, [](const WorkerPtr& w) { return empty(w); });
        worker = place == workers.end() ? pool_.add_worker() : *place;
    }
    const GenerationPtr generation = pool_.new_generation(*worker);
    give_address(*generation, agent->hello());
    pool_.bind(worker, generation, agent);
    log::info("worker_announced", {{"pool", pool_.settings().name},
                                   {"worker", worker->id},
                                   {"generation", generation->number},
                                   {"process", generation->name_of_process()},
                                   {"address", agent->hello().address}});
    if (awaited)
        awaited_->arrived = generation;
    else
        pool_.install(worker, generation);
}

// Our own server ended with us; one of somebody else's may have lost the worker, or not yet.
asio::awaitable<std::string> AnnouncedSource::settle(LeftOver left) {
    if (server_)
        co_return std::string("abandoned: its server was started by the Plimsoll that was killed, and ended with it");
    const auto known = [this, left] {
        return std::ranges::any_of(pool_.workers(), [&](const WorkerPtr& worker) {
            return worker->current && !worker->current->gone() && worker->current->agent_pid() == left.pid;
        });
    };
    const bool alive = co_await until(known, pool_.settings().recycle.ready_timeout / 4);
    co_return alive ? std::string("abandoned: the worker had not been ended yet, it serves on")
                    : std::string("finished: the worker is gone, its server has forked the next one");
}

} // namespace plimsoll::fleet
