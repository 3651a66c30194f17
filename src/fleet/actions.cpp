// What an operator may ask of a worker. An action answers at once; what it came to is told by its incident.
#include "fleet/capture.hpp"
#include "fleet/leak_watch.hpp"
#include "fleet/pool.hpp"
#include "fleet/recycler.hpp"
#include "fleet/remote_agent.hpp"
#include "fleet/remote_python.hpp"
#include "fleet/wait.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

constexpr Duration ask_again = 2s;

ActionResult no_such_worker(const std::string& id) {
    return {404, {}, "no worker " + id + " in this pool", std::nullopt};
}
ActionResult not_now(std::string reason, std::optional<Duration> again = ask_again) {
    return {409, {}, std::move(reason), again};
}

// It may serve again: its heap is trimmed now, and what it was before says nothing of what it will be.
asio::awaitable<void> phase_b_of(Capture& capture, Pool& pool, Generation& generation) {
    co_await capture.phase_b(pool.settings().recycle.capture_timeout, Afterwards::may_serve);
    if (generation.leak) generation.leak->forget_memory();
}

asio::awaitable<void> capture_worker(std::shared_ptr<Pool> pool, WorkerPtr worker, GenerationPtr generation,
                                     std::shared_ptr<Incident> incident, bool trace) {
    const auto capture = std::make_shared<Capture>(pool, worker, generation, incident);
    if (co_await capture->begin()) {
        if (trace) {
            const config::Capture& settings = pool->settings().capture;
            co_await capture->trace_window(settings.trace_time, settings.trace_requests);
            co_await capture->trace_stop();
        } else {
            co_await capture->phase_a();
            // The heavy part stops the worker for seconds: only where nobody waits for it.
            if (worker->held && pool->in_flight(*generation) == 0)
                co_await phase_b_of(*capture, *pool, *generation);
            else
                incident->note(
                    "it serves: only what costs its requests nothing was captured (drain it first for the rest)");
        }
        capture->finish();
        pool->recycler().captured(capture->succeeded());
        pool->leaks().captured(*generation, *incident);
        incident->verdict(worker->id + (trace ? " was traced" : " was captured") + " on request" +
                          (capture->took_something() ? "" : ", and nothing came of it"));
    } else {
        incident->verdict(worker->id + (trace ? " was not traced: " : " was not captured: ") + capture->refusal());
    }
    worker->in_capture = false;
    incident->close();
}

} // namespace

ActionResult Pool::drain(const std::string& id) {
    const WorkerPtr worker = find(id);
    if (!worker) return no_such_worker(id);
    if (worker->held) return {};
    if (recycler_->recycles(*worker)) return not_now(id + " is being recycled");
    if (!worker->current || !takes_requests(worker->current->state))
        return not_now(id + " is " + std::string(to_string(worker->state())));
    if (!worker->current->address) return not_now(worker->current->advice, std::nullopt);
    if (const std::string why_not = recycler_->why_not_drain_first(*worker); !why_not.empty()) return not_now(why_not);
    worker->held = true;
    move(*worker, *worker->current, WorkerState::draining);
    update_acceptance(*worker, *worker->current);
    log::info("worker_drained_by_operator", {{"pool", settings_.name}, {"worker", id}});
    return {};
}

ActionResult Pool::undrain(const std::string& id) {
    const WorkerPtr worker = find(id);
    if (!worker) return no_such_worker(id);
    if (!worker->held) return {};
    if (recycler_->recycles(*worker)) return not_now(id + " is being recycled");
    worker->held = false;
    if (worker->current && worker->current->state == WorkerState::draining) {
        move(*worker, *worker->current, WorkerState::serving);
        update_acceptance(*worker, *worker->current);
    }
    log::info("worker_undrained_by_operator", {{"pool", settings_.name}, {"worker", id}});
    return {};
}

ActionResult Pool::recycle(const std::string& id, const std::string& why) {
    const WorkerPtr worker = find(id);
    if (!worker) return no_such_worker(id);
    return recycler_->request(worker, why);
}

ActionResult Pool::take_capture(const std::string& id, bool trace) {
    const WorkerPtr worker = find(id);
    if (!worker) return no_such_worker(id);
    if (recycler_->recycles(*worker)) return not_now(id + " is being recycled, and captured with it");
    if (worker->in_capture) return not_now(id + " is being captured");
    if (!worker->current || worker->current->gone()) return not_now(id + " has no process now");
    if (!settings_.capture.enabled) return not_now("[pool.capture] enabled is false", std::nullopt);
    if (trace && !worker->current->agent_connected()) {
        if (worker->current->serving_since == Instant{})
            return not_now(id + " is " + std::string(to_string(worker->state())));
        std::string why_not = why_no_remote_agent(*this, *worker->current);
        if (why_not.empty()) why_not = why_no_remote_python(worker->current->pid);
        if (!why_not.empty())
            return not_now("no agent is connected in " + id +
                               " (pip install plimsoll-agent), and none can be put into it: " + why_not,
                           std::nullopt);
    }
    worker->in_capture = true;
    const auto incident = context_->journal.open(
        {settings_.name, id, "capture",
         "an operator asked for a " + std::string(trace ? "trace" : "capture") + " of " + id, worker->current->number});
    spawn(context_->control, "capture " + id,
          capture_worker(shared_from_this(), worker, worker->current, incident, trace));
    return {202, incident->id(), {}, std::nullopt};
}

} // namespace plimsoll::fleet
