// How often a pool may be traced. Windows cost their worker CPU, and the first ones after an accusation are worth most: so the
// budget is a purse and not a pause.
//
//   purse, in seconds of tracing       full: half of `share` of an hour of all workers
//     |'-.          .--'''             refilled at half of `share` of their time
//     |   '--window'                   so in no hour more than `share` of their time is traced
//
// Windows in a row that tell nothing are followed by ever longer pauses: the line may be C code's.
#pragma once

#include <cstddef>

#include "plimsoll/core/time.hpp"

namespace plimsoll::leak {

class TraceBudget {
public:
    static constexpr double share = 0.01;                           // of the time of all workers of the pool
    static constexpr Duration rest = std::chrono::seconds{10};      // after the first fruitless window
    static constexpr Duration longest_rest = std::chrono::hours{1}; // after many

    // What a window that begins now may cost; it is worth opening from `least` on, or from a full purse where that is less.
    Duration left(Instant now, std::size_t workers) const;
    bool may_begin(Instant now, std::size_t workers, Duration least) const;
    // A window is over. `fruitless`: it named no line.
    void spend(Instant now, std::size_t workers, Duration cost, bool fruitless);
    unsigned fruitless() const { return fruitless_; } // windows in a row
    void forget_failures() { fruitless_ = 0; }        // another leak is looked for

private:
    static Duration purse(std::size_t workers);
    Duration owed_{}; // spent and not yet refilled, at `at_`
    Instant at_{}, not_before_{};
    unsigned fruitless_ = 0;
};

} // namespace plimsoll::leak
