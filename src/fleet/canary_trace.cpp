#include "fleet/canary_trace.hpp"

#include <algorithm>
#include <utility>

#include "fleet/capture.hpp"
#include "fleet/leak_evidence.hpp"
#include "fleet/leak_watch.hpp"
#include "fleet/recycler.hpp"

namespace plimsoll::fleet {

namespace {

unsigned doubled(unsigned times, unsigned most) { return times < 31 ? std::min(1U << times, most) : most; }

} // namespace

// However it ends, the worker is free for other captures and the next window may come.
struct CanaryTrace::Window {
    Instant begun;
    Pool& pool;
    Worker& worker;
    State& state;
    Duration cost{}; // CPU, where the agent told it
    bool found = false;
    ~Window() {
        const Instant ended = Clock::now();
        const Duration length = ended - begun;
        state.budget.spend(ended, pool.workers().size(), cost > Duration{} ? std::min(cost, length) : length, !found);
        state.running = worker.in_capture = false;
    }
};

bool CanaryTrace::look(Pool& pool, const std::string& name, const std::shared_ptr<Incident>& incident, Instant now) {
    if (state_->running) return true;
    const config::Capture& settings = pool.settings().capture;
    if (!settings.enabled || !settings.trace) return false;
    if (!state_->budget.may_begin(now, pool.workers().size(), settings.trace_time)) return false;
    const WorkerPtr worker = pool.find(name);
    if (!worker || worker->in_capture || worker->held || pool.recycler().recycles(*worker)) return false;
    const GenerationPtr generation = worker->current;
    if (!generation || generation->gone() || !generation->agent_connected()) return false;
    if (std::exchange(state_->incident, incident->id()) != incident->id()) {
        state_->budget.forget_failures();
        state_->told.clear();
    }
    state_->running = worker->in_capture = true;
    spawn(pool.context().control, "trace " + name, run(pool.shared_from_this(), worker, generation, incident, state_));
    return true;
}

asio::awaitable<void> CanaryTrace::run(std::shared_ptr<Pool> pool, WorkerPtr worker, GenerationPtr generation,
                                       std::shared_ptr<Incident> incident, std::shared_ptr<State> state) {
    Window window{Clock::now(), *pool, *worker, *state};
    const auto capture = std::make_shared<Capture>(pool, worker, generation, incident);
    // A recycle must not wait for us: it traces and captures by itself. And a leak that is over has no line to be found.
    const auto over = [pool, worker] {
        return pool->recycler().recycles(*worker) || worker->held || !pool->leaks().wants_lines();
    };
    const std::function<bool()> cut_short = over;
    const unsigned in_vain = state->budget.fruitless();
    const bool allowed = co_await capture->begin();
    if (!allowed) co_return;
    const Duration longest = std::min(pool->settings().capture.trace_time * longest_window,
                                      state->budget.left(window.begun, pool->workers().size()));
    const unsigned requests = pool->settings().capture.trace_requests * doubled(in_vain, most_requests);
    co_await capture->trace_window(longest, requests, cut_short);
    if (!pool->recycler().recycles(*worker)) co_await capture->trace_stop();
    window.cost = capture->trace_cpu();
    capture->finish();
    // What stands there still, where this window was cut short, is an earlier one's.
    const bool lines = !claimed_lines(incident->details).empty();
    window.found = capture->succeeded() && lines && pool->leaks().has_lines();
    if (capture->succeeded() && !lines && capture->traced_what_leaks()) {
        const std::string why =
            stacks_were_cut(incident->details)
                ? "the stacks of what survived were cut within libraries, before a line of the application's own "
                  "(trace_frames)"
            : traced_in_vain(incident->details)
                ? "if it is real, C code has it, or it is asked seldom"
                : "its heap is too large to be collected while it serves, so few lines can be claimed";
        // Told once: the windows that follow it would say the same.
        if (std::exchange(state->told, why) != why)
            incident->note("no line of Python code explains the growth of " + worker->id + " yet: " + why);
    }
    pool->leaks().captured(*generation, *incident);
}

} // namespace plimsoll::fleet
