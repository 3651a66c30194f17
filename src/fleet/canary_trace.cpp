#include "fleet/canary_trace.hpp"

#include <algorithm>

#include "fleet/capture.hpp"
#include "fleet/recycler.hpp"

namespace plimsoll::fleet {

namespace {

bool has_lines(const Incident& incident) {
    const auto* lines = incident.details.if_contains("lines");
    return lines && lines->is_array() && !lines->as_array().empty();
}

} // namespace

// However it ends, the worker is free for other captures and the next window may come.
struct CanaryTrace::Window {
    Instant begun;
    Pool& pool;
    Worker& worker;
    State& state;
    ~Window() {
        const Instant ended = Clock::now();
        state.not_before = ended + pause(ended - begun, pool.workers().size());
        state.running = worker.in_capture = false;
    }
};

Duration CanaryTrace::pause(Duration window, std::size_t workers) {
    const double others = static_cast<double>(std::max<std::size_t>(workers, 1));
    return std::chrono::duration_cast<Duration>(window / (share * others));
}

void CanaryTrace::accused(Pool& pool, const std::string& name, const std::shared_ptr<Incident>& incident, Instant now) {
    const config::Capture& settings = pool.settings().capture;
    if (!settings.enabled || !settings.trace || state_->running || now < state_->not_before || has_lines(*incident))
        return;
    const WorkerPtr worker = pool.find(name);
    if (!worker || worker->in_capture || worker->held || pool.recycler().recycles(*worker)) return;
    const GenerationPtr generation = worker->current;
    if (!generation || generation->gone() || !generation->agent_connected()) return;
    state_->running = worker->in_capture = true;
    spawn(pool.context().control, "trace " + name, run(pool.shared_from_this(), worker, generation, incident, state_));
}

asio::awaitable<void> CanaryTrace::run(std::shared_ptr<Pool> pool, WorkerPtr worker, GenerationPtr generation,
                                       std::shared_ptr<Incident> incident, std::shared_ptr<State> state) {
    const Window window{Clock::now(), *pool, *worker, *state};
    const auto capture = std::make_shared<Capture>(pool, worker, generation, incident);
    // A recycle must not wait for us: it traces and captures by itself.
    const auto urgent = [pool, worker] { return pool->recycler().recycles(*worker) || worker->held; };
    const std::function<bool()> cut_short = urgent;
    const bool allowed = co_await capture->begin();
    if (allowed) {
        const Instant ends = Clock::now() + pool->settings().capture.trace_time * longest_window;
        for (unsigned times = 1; times <= most_requests; times *= longer) {
            co_await capture->trace_window(ends - Clock::now(), cut_short, times);
            const bool traced = capture->traces();
            if (!pool->recycler().recycles(*worker)) co_await capture->trace_stop();
            if (!traced || has_lines(*incident) || cut_short() || Clock::now() >= ends ||
                !generation->agent_connected())
                break;
        }
        capture->finish();
        if (capture->succeeded() && !has_lines(*incident))
            incident->note("no line of Python code explains the growth of " + worker->id +
                           ": if it is real, C code has it");
    }
}

} // namespace plimsoll::fleet
