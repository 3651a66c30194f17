// Whether to go on asking somebody who fails: one for each worker, and one for each route.
//
//   passing --5 failures in a row, or half of at least 20 in 10 s failed (or were slow)--> tripped
//      ^                                                                                     | rest: 1 s, twice as long
//      |--the probe succeeded-- probing <--one request is let through------------------------|  after each failed probe,
//                                  '--the probe failed--> tripped                               never less than Retry-After
//
// record() tells what became of a request and answers whether that is reason to trip; the caller decides, because only it
// sees the others: a floor of workers always passes, and a failure that all workers share is the application's and no
// worker's (gate.hpp). A probe whose client left proves nothing: the next request is the probe. One that has not ended after
// the longest rest is waited for no longer: another goes, and whichever ends first tells. What was under way when it tripped
// ends nothing: only a probe says how it went.
#pragma once

#include <cstdint>
#include <string_view>

#include "plimsoll/core/time.hpp"
#include "plimsoll/core/window.hpp"

namespace plimsoll {

class Breaker {
public:
    enum class State : std::uint8_t { passing, tripped, probing };
    enum class Result : std::uint8_t { good, slow, failed, nothing }; // nothing: it proves neither
    struct Settings {
        unsigned consecutive = 5;
        double share = 0.5; // of failures, and of slow requests, in the window
        unsigned minimum = 20;
        Duration window = std::chrono::seconds{10};
        Duration slow{}; // a request that takes longer is slow; 0: none is
        Duration rest = std::chrono::seconds{1};
        Duration longest_rest = std::chrono::seconds{30};
        friend bool operator==(const Settings&, const Settings&) = default;
    };
    struct Share {
        unsigned bad = 0, all = 0;
        double value() const { return all == 0 ? 0 : static_cast<double>(bad) / all; }
    };

    State state() const { return state_; }
    bool admits(Instant now) const { return state_ == State::passing || now >= until_; }
    bool admitted(Instant now, const Settings& settings) { // after admits(). True: this request is the probe
        if (state_ == State::passing) return false;
        state_ = State::probing;
        until_ = now + settings.longest_rest;
        return true;
    }
    Instant until() const { return until_; } // not passing: when the next probe may go

    // True: trip it. `probe`: whether admitted() said so of this request.
    bool record(Instant now, const Settings& settings, Result result, bool probe, Duration retry_after = {});
    void trip(Instant now, const Settings& settings, Duration retry_after = {});
    void release(); // passing, whatever was

    Share share(Instant now, const Settings& settings) const; // in the window
    std::uint64_t trips() const { return trips_; }

private:
    Window<3> window_; // by Result
    State state_ = State::passing;
    unsigned failed_in_a_row_ = 0;
    unsigned trips_in_a_row_ = 0;
    std::uint64_t trips_ = 0;
    Instant until_{};
};

std::string_view to_string(Breaker::State state);

} // namespace plimsoll
