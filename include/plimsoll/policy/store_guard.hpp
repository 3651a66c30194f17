// Whether to ask a shared store that may be slow, gone or full: a Breaker (breaker.hpp), and the two moments in which somebody
// should be told.
//
//   passing --5 failures in a row, half of 20, or no connection--> tripped --the probe: one request at a time--> probing
//      ^-----------------------------------it answered in time---------------------------------------------------'
//
//   rest = max(100 ms, 2 patience), after each failed probe twice as long, up to 1 s
//          where it trips within 10 s of passing again: twice as long as the time before, up to 2 s
//
// While it does not pass, requests decide without it at once, but for the probe: so a store that hangs costs one request in
// a second its patience, and not every one. One that answers a probe and fails again soon is left alone for longer.
//
// That it is lost is an Episode (episode.hpp): a store of which every fifth answer comes too late trips every few seconds, and is told
// as lost once.
#pragma once

#include <cstdint>
#include <optional>

#include "plimsoll/policy/breaker.hpp"
#include "plimsoll/policy/episode.hpp"

namespace plimsoll {

class StoreGuard {
public:
    using News = Episode::News; // began: it is lost; ended: it is back for good

    // `patience`: how long an answer is waited for. A probe goes only when nothing from before it tripped can still be heard.
    explicit StoreGuard(Duration patience);
    // Another store, of which nothing is known. If the one before is lost still, the first answer ends that at once; if this one is
    // lost as well, that begins anew.
    void replace(Duration patience);

    bool admits(Instant now); // true: ask, and record() what comes of it
    News record(Instant now, Breaker::Result result);
    News unreachable(Instant now); // there is no connection, and none could be made

    Breaker::State state() const { return breaker_.state(); }
    std::uint64_t trips() const { return breaker_.trips(); }
    const Episode& lost() const { return lost_; }

private:
    void be_patient(Duration patience);
    void trip(Instant now);
    News told(Instant now);
    Breaker::Settings settings_;
    Duration usual_rest_{};
    Breaker breaker_;
    std::optional<Instant> passed_; // when the last probe succeeded
    Episode lost_;
    bool replaced_ = false; // and it has neither answered nor been lost since
};

} // namespace plimsoll
