#include "fleet/recycle.hpp"

#include <cstdio>

#include "fleet/health_watch.hpp"
#include "fleet/json_fields.hpp"
#include "fleet/leak_watch.hpp"
#include "fleet/monitor.hpp"
#include "fleet/wait.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

constexpr Duration close_idle_bound = 2s; // reactors answer in microseconds; one that does not must not stop a recycle
constexpr Duration reading_bound = 3s;    // for the successor's first memory reading
constexpr int hard_limit_patience = 3;    // beyond the hard limit a drain gets a third of its time

std::string text_of(Duration length) {
    const double ms = std::chrono::duration<double, std::milli>(length).count();
    char text[32];
    if (ms < 1000)
        std::snprintf(text, sizeof text, "%.0f ms", ms);
    else
        std::snprintf(text, sizeof text, "%.1f s", ms / 1000);
    return text;
}

std::string text_of(std::optional<Bytes> amount) { return amount ? to_string(*amount) : std::string("unknown"); }

std::string requests_text(unsigned n) { return n == 1 ? "1 request" : std::to_string(n) + " requests"; }

std::optional<Bytes> latest(const MemoryReading& memory) { return memory.anon ? memory.anon : memory.rss; }

} // namespace

Recycle::Recycle(std::shared_ptr<Pool> pool, WorkerPtr worker, RecycleCause cause, std::shared_ptr<Incident> incident)
    : pool_(std::move(pool)), worker_(std::move(worker)), cause_(cause), incident_(std::move(incident)),
      old_(worker_->current), capture_(std::make_shared<Capture>(pool_, worker_, old_, incident_)),
      begun_(Clock::now()), begun_at_(std::chrono::system_clock::now()) {
    worker_->in_recycle = true;
}

asio::awaitable<void> Recycle::run() {
    const auto self = shared_from_this();
    std::string broken;
    try {
        co_await steps();
    } catch (const std::exception& e) {
        broken = e.what();
    }
    // A pool that waited for ever for this one to end would never be recycled again.
    if (worker_->in_recycle) over(Recycler::End::abandoned, "abandoned", worker_->id + " was not recycled: " + broken);
}

asio::awaitable<void> Recycle::steps() {
    const auto self = shared_from_this();
    incident_->note(incident_->facts().verdict);
    mark("evidence");
    co_await take_evidence();
    if (old_died()) co_return;
    if (pool_->source().successor_first()) {
        mark("successor");
        if (!co_await start_successor()) co_return;
    }
    if (!successor_ && !co_await can_be_spared()) co_return;
    mark("draining");
    if (!co_await drain()) co_return;
    co_await examine();
    mark("ending");
    if (!co_await end_old()) co_return;
    if (!successor_ && !co_await await_successor()) co_return;
    co_await conclude();
}

void Recycle::mark(const char* stage) {
    LeftOver left{incident_->id(), worker_->id, stage, old_->number};
    left.pid = old_->pid > 0 ? old_->pid : old_->agent_pid();
    if (old_->agent) {
        left.pid = old_->agent_pid();
        left.server = old_->agent->hello().ppid;
        left.started_at = old_->agent->hello().started_at.value_or(0);
    }
    left.marked_at = std::chrono::duration<double>(begun_at_.time_since_epoch()).count();
    pool_->recycler().marker().write(left);
}

Said Recycle::said() {
    return [incident = incident_](const std::string& what) { incident->note(what); };
}

// The trace goes on until the worker is drained: its successor and the drain may take all of their time.
Duration Recycle::until_examined() const {
    const config::Recycle& recycle = pool_->settings().recycle;
    return recycle.ready_timeout + recycle.drain_timeout;
}

Duration Recycle::patience() const {
    const Duration whole = pool_->settings().recycle.drain_timeout;
    return cause_ == RecycleCause::hard_limit ? whole / hard_limit_patience : whole;
}

asio::awaitable<void> Recycle::take_evidence() {
    const auto self = shared_from_this();
    if (!co_await capture_->begin()) co_return;
    const config::Capture& settings = pool_->settings().capture;
    const bool patient = cause_ != RecycleCause::hard_limit && cause_ != RecycleCause::operator_request;
    const auto urgent = [self] { return self->pool_->recycler().urgent(); };
    if (settings.trace && patient && !worker_->held)
        co_await capture_->trace_window(settings.trace_time, settings.trace_requests, urgent, until_examined());
    const Instant begun = Clock::now();
    if (!old_->gone()) co_await capture_->phase_a();
    incident_->note("looked at while it serves, in " + text_of(Clock::now() - begun));
}

// Its death has an incident of its own; this one only says that nothing is left to do.
bool Recycle::old_died() {
    if (!old_->gone() && !pool_->stopping()) return false;
    if (pool_->stopping()) {
        over(Recycler::End::abandoned, "abandoned", worker_->id + " was not recycled: " + pool_->why_stopping());
        return true;
    }
    over(Recycler::End::abandoned, "abandoned",
         worker_->id + " (" + old_->name_of_process() + ") died before it could be recycled");
    if (worker_->current == old_) pool_->source().vacated(worker_);
    return true;
}

asio::awaitable<bool> Recycle::start_successor() {
    const auto self = shared_from_this();
    const Duration bound = pool_->settings().recycle.ready_timeout;
    const Instant asked = Clock::now();
    Successor successor = co_await pool_->source().begin_successor(worker_, bound);
    if (successor.unsupported) {
        incident_->note("a successor cannot be started first: " + successor.problem);
        pool_->recycler().must_drain_first();
        co_return true;
    }
    if (!successor.generation) {
        co_await give_up_successor(successor.problem);
        co_return false;
    }
    worker_->next = successor_ = successor.generation;
    incident_->note("generation " + std::to_string(successor_->number) + " (" + successor_->name_of_process() +
                    ") starts beside it");
    const Duration left = bound - (Clock::now() - asked);
    const Pool::Readiness readiness = co_await pool_->make_ready(worker_, successor_, left);
    if (!readiness.ready) {
        co_await give_up_successor(readiness.text);
        co_return false;
    }
    incident_->note("successor " + worker_->id + " generation " + std::to_string(successor_->number) + " (" +
                    successor_->name_of_process() + ") " + readiness.text);
    pool_->put_in_service(worker_, successor_);
    co_return true;
}

asio::awaitable<void> Recycle::give_up_successor(std::string why) {
    const auto self = shared_from_this();
    incident_->note("the successor did not become ready: " + why);
    const std::string not_undone = co_await pool_->source().cancel_successor(worker_, successor_, said());
    if (!not_undone.empty()) incident_->note(not_undone);
    worker_->next.reset();
    if (pool_->stopping() || old_->gone()) {
        old_died();
        co_return;
    }
    co_await capture_->trace_stop(); // else all that it serves would be traced
    if (old_died()) co_return;
    over(Recycler::End::no_successor, "no_successor",
         worker_->id + " was not recycled, it serves on: its successor did not become ready (" + why +
             "); recycling of this pool is halted");
}

// Nobody stands in for it, and since the planner said so another one may have died or been drained.
asio::awaitable<bool> Recycle::can_be_spared() {
    const auto self = shared_from_this();
    if (pool_->recycler().why_not_drain_first(*worker_).empty()) co_return true;
    co_await capture_->trace_stop(); // it serves on
    if (old_died()) co_return false;
    const std::string why_not = pool_->recycler().why_not_drain_first(*worker_);
    if (why_not.empty()) co_return true;
    over(Recycler::End::abandoned, "refused", worker_->id + " was not recycled: " + why_not);
    co_return false;
}

asio::awaitable<bool> Recycle::drain() {
    const auto self = shared_from_this();
    if (old_->gone() && !successor_) {
        old_died();
        co_return false;
    }
    const Instant begun = Clock::now();
    before_ = latest(old_->memory);
    pool_->move(*worker_, *old_, WorkerState::draining);
    pool_->update_acceptance(*worker_, *old_);
    const unsigned waiting = pool_->in_flight(*old_);
    const auto idle = [self] { return self->old_->gone() || self->pool_->in_flight(*self->old_) == 0; };
    const bool drained = co_await until(idle, patience());
    drained_ = Clock::now() - begun;
    lost_ = pool_->in_flight(*old_);
    HealthWatch::let_go(*old_);
    if (old_->gone())
        incident_->note(worker_->id + " generation " + std::to_string(old_->number) + " died while it was drained");
    else if (!old_->address)
        incident_->note("it has no address of its own and cannot be drained: its server finishes what it has");
    else if (drained)
        incident_->note("drained in " + text_of(drained_) + " (" + requests_text(waiting) + " in flight)");
    else
        incident_->note(requests_text(lost_) + " still in flight after " + text_of(drained_) +
                        ": they will be cut (drain_timeout)");
    co_await close_idle_connections();
    co_return true;
}

// Before the process hears that it has to go: an idle connection delays its exit, or is answered by a reset.
asio::awaitable<void> Recycle::close_idle_connections() {
    const auto self = shared_from_this();
    if (!pool_->context().surroundings.close_idle || old_->key == 0) co_return;
    const auto closed = std::make_shared<bool>(false);
    pool_->context().surroundings.close_idle(old_->key, [closed] { *closed = true; });
    const auto all_closed = [closed] { return *closed; };
    if (!co_await until(all_closed, close_idle_bound))
        incident_->note("idle connections to it could not be closed in " + text_of(close_idle_bound));
}

asio::awaitable<void> Recycle::examine() {
    const auto self = shared_from_this();
    if (old_->gone()) co_return;
    pool_->move(*worker_, *old_, WorkerState::capturing);
    const Instant begun = Clock::now();
    co_await capture_->phase_b(pool_->settings().recycle.capture_timeout);
    if (pool_->settings().capture.enabled)
        incident_->note("examined while nobody waits for it, in " + text_of(Clock::now() - begun));
    pool_->leaks().captured(*old_, *incident_);
}

asio::awaitable<bool> Recycle::end_old() {
    const auto self = shared_from_this();
    old_->ending = true;
    bool ended = old_->gone();
    if (!ended) {
        pool_->move(*worker_, *old_, WorkerState::ending);
        const Instant begun = Clock::now();
        ended = co_await pool_->source().retire(worker_, old_, said());
        if (ended) incident_->note(old_->name_of_process() + " ended after " + text_of(Clock::now() - begun));
    }
    co_await capture_->stacks_of_the_dead();
    capture_->finish();
    if (pool_->settings().capture.enabled) pool_->recycler().captured(capture_->succeeded());
    if (ended || old_->gone()) co_return true; // at last, while its stacks were read
    pool_->take_out(*old_);
    pool_->move(*worker_, *old_, WorkerState::stuck);
    if (successor_) { // the place goes on; what is left of the old process is the operator's
        worker_->current = successor_;
        worker_->next.reset();
    }
    over(Recycler::End::stuck, "stuck",
         worker_->id + " (" + old_->name_of_process() + ") is stuck: not even SIGKILL ended it");
    co_return false;
}

asio::awaitable<bool> Recycle::await_successor() {
    const auto self = shared_from_this();
    const Duration bound = pool_->settings().recycle.ready_timeout;
    pool_->source().vacated(worker_);
    const auto come = [self] {
        const GenerationPtr& now = self->worker_->current;
        return self->pool_->stopping() || (now != self->old_ && now->serving_since != Instant{} && !now->gone());
    };
    if (!co_await until(come, bound)) {
        over(Recycler::End::no_successor, "no_successor",
             worker_->id + " ended, but no successor became ready in " + text_of(bound) +
                 "; recycling of this pool is halted");
        co_return false;
    }
    if (pool_->stopping()) {
        old_died();
        co_return false;
    }
    successor_ = worker_->current;
    incident_->note("successor " + worker_->id + " generation " + std::to_string(successor_->number) + " (" +
                    successor_->name_of_process() + ") serves");
    co_return true;
}

asio::awaitable<void> Recycle::conclude() {
    const auto self = shared_from_this();
    worker_->current = successor_;
    worker_->next.reset();
    if (successor_->gone()) pool_->source().vacated(worker_); // it answered, and died in the meantime
    // The least since it serves: what a process of this application needs, before it has leaked again.
    const auto read = [self] { return self->successor_->gone() || self->successor_->memory.floor.has_value(); };
    co_await until(read, reading_bound);
    const auto after = successor_->memory.floor;
    incident_->note("memory: " + text_of(before_) + " before, " + text_of(after) + " after");
    std::string verdict = incident_->facts().verdict + ": drained in " + text_of(drained_) + ", " +
                          (lost_ == 0 ? "no request lost" : requests_text(lost_) + " cut") + ", recycled in " +
                          text_of(Clock::now() - begun_) + "; memory " + text_of(before_) + " before, " +
                          text_of(after) + " after";
    incident_->details["recycle"] = {
        {"memory_after", json_of(after)},
        {"successor", {{"generation", successor_->number}, {"process", successor_->name_of_process()}}}};
    over(Recycler::End::done, "done", verdict);
}

void Recycle::over(Recycler::End end, const std::string& outcome, const std::string& verdict) {
    boost::json::value& recycle = incident_->details["recycle"];
    if (!recycle.is_object()) recycle.emplace_object();
    boost::json::object& told = recycle.get_object();
    told["outcome"] = outcome;
    told["drained_ms"] = std::chrono::duration_cast<std::chrono::milliseconds>(drained_).count();
    told["lost"] = lost_;
    told["memory_before"] = json_of(before_);
    if (!told.contains("memory_after")) told["memory_after"] = nullptr;
    if (!told.contains("successor")) told["successor"] = nullptr;
    if (end != Recycler::End::done) incident_->note(verdict);
    incident_->verdict(verdict);
    capture_->finish();
    if (!old_->gone() && old_->state == WorkerState::suspect) pool_->move(*worker_, *old_, WorkerState::serving);
    worker_->in_recycle = false;
    incident_->close();
    pool_->recycler().finished(worker_, cause_, end, verdict);
}

} // namespace plimsoll::fleet
