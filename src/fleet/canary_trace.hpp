// The trace of a leak: tracemalloc on in one accused worker, so that the incident names lines and not only a slope.
//
//   accused --> budget left, agent there, nobody else at it? --> window --> lines that agree with the growth --> incident
//                                                                  ^                    | none
//                                                                  '--- four times as many requests
//
// A leak on a route that one request in a hundred asks is hit twice in 200 requests, or not at all: what does not explain
// the growth in a short window may do so in a long one.
// Tracing makes Python several times slower, so what it may cost is bounded by construction: one worker of a pool at a
// time, a window of at most `longest_window` trace_times, and so long a pause after it that windows are no more than
// `share` of the time of all the pool's workers. Once an incident's line is known it is not looked for again.
#pragma once

#include <memory>
#include <string>

#include "fleet/journal.hpp"
#include "fleet/pool.hpp"
#include "fleet/wait.hpp"

namespace plimsoll::fleet {

class CanaryTrace {
public:
    static constexpr double share = 0.01;
    static constexpr int longest_window = 10; // in capture.trace_time, of all windows: a quiet worker needs longer
    static constexpr unsigned longer = 4, most_requests = 16; // the next window; the last, in capture.trace_requests

    void accused(Pool& pool, const std::string& worker, const std::shared_ptr<Incident>& incident, Instant now);

    // How long after a window of this length the next one may begin.
    static Duration pause(Duration window, std::size_t workers);

private:
    struct State {
        bool running = false;
        Instant not_before{};
    };
    struct Window; // one that is open
    static asio::awaitable<void> run(std::shared_ptr<Pool> pool, WorkerPtr worker, GenerationPtr generation,
                                     std::shared_ptr<Incident> incident, std::shared_ptr<State> state);
    std::shared_ptr<State> state_ = std::make_shared<State>(); // outlives us in the window that is open
};

} // namespace plimsoll::fleet
