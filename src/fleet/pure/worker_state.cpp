#include "plimsoll/fleet/worker_state.hpp"

namespace plimsoll {

std::string_view to_string(WorkerState state) {
    switch (state) {
    case WorkerState::starting: return "starting";
    case WorkerState::warming: return "warming";
    case WorkerState::serving: return "serving";
    case WorkerState::suspect: return "suspect";
    case WorkerState::draining: return "draining";
    case WorkerState::capturing: return "capturing";
    case WorkerState::ending: return "ending";
    case WorkerState::stuck: return "stuck";
    case WorkerState::failed: return "failed";
    case WorkerState::gone: return "gone";
    }
    return "unknown";
}

bool takes_requests(WorkerState state) { return state == WorkerState::serving || state == WorkerState::suspect; }

bool may_follow(WorkerState from, WorkerState to) {
    using S = WorkerState;
    if (from == to || from == S::gone) return false;
    if (to == S::failed || to == S::gone) return true; // a process may die at any moment
    switch (from) {
    case S::starting: return to == S::warming || to == S::ending;
    case S::warming: return to == S::serving || to == S::ending;
    case S::serving: return to == S::suspect || to == S::draining;
    case S::suspect: return to == S::serving || to == S::draining;
    case S::draining: return to == S::serving || to == S::capturing || to == S::ending;
    case S::capturing: return to == S::ending;
    case S::ending: return to == S::stuck;
    case S::stuck:
    case S::failed:
    case S::gone: return false;
    }
    return false;
}

} // namespace plimsoll
