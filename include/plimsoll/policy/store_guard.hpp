// Whether to ask a shared store that may be slow, gone or full: a Breaker (breaker.hpp), and the two moments in which somebody
// should be told.
//
//   passing --5 failures in a row, half of 20, or no connection: lost--> tripped --the probe: one request at a time--> probing
//      ^-----------------------------------back: it answered in time--------------------------------------------------'
//
// Between `lost` and `back` requests decide without it at once, but for the probe: so a store that hangs costs one request in
// a second its patience, and not every one.
#pragma once

#include <cstdint>

#include "plimsoll/policy/breaker.hpp"

namespace plimsoll {

class StoreGuard {
public:
    enum class Change : std::uint8_t { none, lost, back };

    // `patience`: how long an answer is waited for. A probe goes only when nothing from before it tripped can still be heard.
    explicit StoreGuard(Duration patience);

    bool admits(Instant now); // true: ask, and record() what comes of it
    Change record(Instant now, Breaker::Result result);
    Change unreachable(Instant now); // there is no connection, and none could be made

    Breaker::State state() const { return breaker_.state(); }
    std::uint64_t trips() const { return breaker_.trips(); }

private:
    Change told();
    Breaker::Settings settings_;
    Breaker breaker_;
    bool lost_ = false; // as it was told last
};

} // namespace plimsoll
