// The trace of a leak: tracemalloc on in one accused worker, so that the incident names lines and not only a slope.
//
//   accused --> budget left, agent there, nobody else at it? --> window --> lines that agree with the growth --> incident
//
// Tracing makes Python several times slower, so what it may cost is bounded by construction: one worker of a pool at a
// time, a window of at most `longest_window` trace_times, and no more than a purse allows (plimsoll/leak/trace_budget.hpp).
// Once an incident's line is known it is not looked for again. A window that found none is followed by a longer one: what
// leaks may be asked seldom.
#pragma once

#include <memory>
#include <string>

#include "fleet/journal.hpp"
#include "fleet/pool.hpp"
#include "fleet/wait.hpp"
#include "plimsoll/leak/trace_budget.hpp"

namespace plimsoll::fleet {

class CanaryTrace {
public:
    static constexpr int longest_window = 10;    // in capture.trace_time: a quiet worker needs longer for its requests
    static constexpr unsigned most_requests = 8; // in capture.trace_requests, of the last of a row of fruitless windows

    // A worker that is accused in this incident may be traced. True: it is, or another one is.
    bool look(Pool& pool, const std::string& worker, const std::shared_ptr<Incident>& incident, Instant now);

private:
    struct State {
        bool running = false;
        leak::TraceBudget budget;
        std::string incident; // of the last window
        std::string told;     // why no line is known, in that incident
    };
    struct Window; // one that is open
    static asio::awaitable<void> run(std::shared_ptr<Pool> pool, WorkerPtr worker, GenerationPtr generation,
                                     std::shared_ptr<Incident> incident, std::shared_ptr<State> state);
    std::shared_ptr<State> state_ = std::make_shared<State>(); // outlives us in the window that is open
};

} // namespace plimsoll::fleet
