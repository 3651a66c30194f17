// Whether more is asked of a pool than it can do, for good: then waiting helps nobody, and who cannot be served soon is
// better refused at once.
//
// A queue alone does not tell. A burst, a recycle and clients that take turns all make a queue that stands for a while and
// goes away by itself, and nobody should be refused for it. Overload is a queue that
//   1. stands: who is served has waited longer than the target, without a break, for an interval (CoDel's sign);
//   2. grows by more than chance: arrivals - departures > 32 + 2 % of departures + 3 * sqrt(departures), since it
//      stands, and since no worker is missing (the dead and the recycled will be back);
//   3. is long: a newcomer would wait longer than `patience`.
// It is over when nobody had to be refused for ten intervals.
//
//   interval = 10 * target, 50 ms .. 1 s          patience = 4 * target, at least 100 ms
#pragma once

#include <cstdint>

#include "plimsoll/core/time.hpp"

namespace plimsoll {

class Overload {
public:
    struct Sight { // of the queue, after an event
        bool waiting = false;
        Duration oldest{};   // has waited so long
        Duration expected{}; // wait of a newcomer
        Duration target{};
        bool workers_missing = false;
    };

    void arrived() { ++arrivals_; }                  // somebody who competes for a slot
    void took_back() { arrivals_ -= arrivals_ > 0; } // one of them no longer does, and hardly waited
    void departed() { ++departures_; }
    void look(Instant now, const Sight& sight);
    void hopeless(Instant now) { last_refusal_ = now; } // somebody was refused because of it
    bool on() const { return on_; }

    static Duration interval(Duration target);

private:
    bool growing() const;

    bool on_ = false;
    bool standing_ = false;
    Instant since_{};
    std::uint64_t arrivals_ = 0, departures_ = 0; // since it stands
    Instant last_refusal_{};
};

} // namespace plimsoll
