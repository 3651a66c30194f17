#include "fleet/source/gunicorn_source.hpp"

#include <algorithm>

#include "fleet/source/ending.hpp"
#include "fleet/wait.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

constexpr Duration order_deadline = 5s; // an agent passes an order on in microseconds, unless its worker is stuck

// An order about one worker for the arbiter, which any of its workers' agents can pass on.
asio::awaitable<CommandResult> order(std::shared_ptr<Agent> agent, std::string what, int pid) {
    boost::json::object args{{"pid", pid}};
    co_return co_await agent->command(std::move(what), std::move(args), order_deadline);
}

} // namespace

asio::awaitable<Successor> GunicornSource::begin_successor(WorkerPtr worker, Duration bound) {
    const GenerationPtr old = worker->current;
    const auto agent = agent_beside(pool_, *old);
    if (!agent) co_return Successor{nullptr, "no agent of its server is connected", true};
    // Before the order: the successor may say hello before the answer to the order is read.
    const auto awaited = awaited_ = std::make_shared<Awaited>(Awaited{worker, nullptr});
    boot_failed_ = false;
    const CommandResult result = co_await order(agent, "successor", old->agent_pid());
    if (!result.ok) {
        awaited_.reset();
        co_return Successor{awaited->arrived, result.error, awaited->arrived == nullptr};
    }
    const auto settled = [this, awaited] { return awaited->arrived || boot_failed_ || pool_.stopping(); };
    const bool in_time = co_await until(settled, bound);
    awaited_.reset();
    if (awaited->arrived) co_return Successor{awaited->arrived, {}, false};
    if (boot_failed_) co_return Successor{nullptr, "it failed while it loaded the application", false};
    co_return Successor{nullptr, in_time ? pool_.why_stopping() : "gunicorn forked none in ready_timeout", false};
}

asio::awaitable<std::string> GunicornSource::cancel_successor(WorkerPtr worker, GenerationPtr generation, Said said) {
    if (generation) generation->ending = true;
    const auto agent = agent_beside(pool_, *worker->current);
    if (!agent) co_return std::string("it could not be cancelled: no agent of its server is connected");
    const CommandResult result = co_await order(agent, "cancel", worker->current->agent_pid());
    if (!result.ok) co_return "it could not be cancelled: " + result.error;
    said("cancelled: gunicorn goes on with as many workers as before");
    // The arbiter ends a successor that lives but does not answer; it is killed if it does not listen.
    if (generation && !generation->gone()) co_await end_by_signals(pool_.shared_from_this(), generation, true, said);
    co_return std::string{};
}

asio::awaitable<bool> GunicornSource::retire(WorkerPtr worker, GenerationPtr generation, Said said) {
    const auto pool = pool_.shared_from_this();
    // With a successor beside it the arbiter must know that this end makes its count fall; without, a plain TERM is right.
    bool told = false;
    if (worker->next) {
        if (const auto agent = agent_beside(pool_, *generation)) {
            const CommandResult result = co_await order(agent, "retire", generation->agent_pid());
            told = result.ok;
            if (!told) said("gunicorn could not be asked to retire it (" + result.error + "): it is signalled instead");
        }
    }
    co_return co_await end_by_signals(pool, generation, told, said);
}

void GunicornSource::exited(const Exited& word) {
    if (awaited_ && !awaited_->arrived && word.boot_failed)
        boot_failed_ = true;
    else
        AnnouncedSource::exited(word);
}

// The arbiter still holds the mark of the worker that was to go: either its successor has come, then it goes; or not, then
// the successor is cancelled.
asio::awaitable<std::string> GunicornSource::settle(LeftOver left) {
    const auto pool = pool_.shared_from_this();
    const auto find = [this, left]() -> WorkerPtr {
        const auto found = std::ranges::find_if(pool_.workers(), [&](const WorkerPtr& worker) {
            const auto& generation = worker->current;
            return generation && !generation->gone() && generation->agent_pid() == left.pid &&
                   generation->agent->hello().started_at.value_or(0) == left.started_at;
        });
        return found == pool_.workers().end() ? nullptr : *found;
    };
    if (!pool_.settings().source.command.empty() || left.stage == "evidence")
        co_return co_await AnnouncedSource::settle(left);
    const auto found = [find] { return find() != nullptr; };
    co_await until(found, pool_.settings().recycle.ready_timeout / 4);
    const WorkerPtr victim = find();
    if (!victim) co_return std::string("finished: the worker is gone, its successor has taken its place");
    const GenerationPtr old = victim->current;
    // Its successor: a worker of the same arbiter that was started after the recycle was marked.
    const auto successor_serves = [this, left] {
        return std::ranges::any_of(pool_.workers(), [&](const WorkerPtr& worker) {
            const auto& generation = worker->current;
            return generation && takes_requests(generation->state) && generation->agent &&
                   generation->agent->hello().ppid == left.server &&
                   generation->agent->hello().started_at.value_or(0) >= left.marked_at;
        });
    };
    const bool come = co_await until(successor_serves, pool_.settings().recycle.ready_timeout / 4);
    const Said quiet = [](const std::string&) {};
    if (!come) {
        const std::string problem = co_await cancel_successor(victim, nullptr, quiet);
        co_return problem.empty()
            ? std::string("abandoned: its successor had not come and is cancelled, the worker serves on")
            : "abandoned: " + problem;
    }
    pool_.move(*victim, *old, WorkerState::draining);
    pool_.update_acceptance(*victim, *old);
    const auto idle = [this, old] { return old->gone() || pool_.in_flight(*old) == 0; };
    const bool drained = co_await until(idle, pool_.settings().recycle.drain_timeout);
    old->ending = true;
    pool_.take_out(*old);
    if (const auto agent = agent_beside(pool_, *old)) co_await order(agent, "retire", old->agent_pid());
    const bool ended = co_await end_by_signals(pool, old, true, quiet);
    if (ended) pool_.drop_worker(victim);
    if (!ended) co_return std::string("abandoned: the worker does not end");
    co_return std::string("finished: its successor serves, it was drained") +
        (drained ? "" : " (drain_timeout was over)") + " and ended";
}

} // namespace plimsoll::fleet
