// The trace of a leak: tracemalloc on in one accused worker, so that the incident names lines and not only a slope.
//
//   accused --> budget left, agent there, nobody else at it? --> window --> lines that agree with the growth --> incident
//
// Tracing makes Python several times slower, so what it may cost is bounded by construction: one worker of a pool at a
// time, a window of at most `longest_window` trace_times, and so long a pause after it that windows are no more than
// `share` of the time of all the pool's workers. Once an incident's line is known it is not looked for again. A window that
// found none is followed by a longer one (what leaks may be asked seldom) after twice the pause, as it may as well be C code.
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
    static constexpr int longest_window = 10;    // in capture.trace_time: a quiet worker needs longer for its requests
    static constexpr unsigned most_requests = 8; // in capture.trace_requests, of the last of a row of fruitless windows
    static constexpr unsigned longest_pause = 64; // times the budget's, likewise

    // A worker that is accused in this incident may be traced. True: it is, or another one is.
    bool look(Pool& pool, const std::string& worker, const std::shared_ptr<Incident>& incident, Instant now);

    static constexpr Duration shortest_pause = std::chrono::seconds{10}; // where a trace could not even begin

    // How long after a window of this length the next one may begin.
    static Duration pause(Duration window, std::size_t workers, unsigned fruitless);

private:
    struct State {
        bool running = false;
        Instant not_before{};
        std::string incident;   // of the last window
        unsigned fruitless = 0; // windows in a row that found no line for it
    };
    struct Window; // one that is open
    static asio::awaitable<void> run(std::shared_ptr<Pool> pool, WorkerPtr worker, GenerationPtr generation,
                                     std::shared_ptr<Incident> incident, std::shared_ptr<State> state);
    std::shared_ptr<State> state_ = std::make_shared<State>(); // outlives us in the window that is open
};

} // namespace plimsoll::fleet
