// When the memory of a pool's workers is read again: sooner where one of them is about to run out.
//
//   pause = interval, or  room / growth / 64  of the fastest if that is sooner; at least 200 times what a round of readings takes
//
// A worker that fills its headroom in two seconds is over its limit at the fourth reading of every half second: nothing could be
// said of it, and nothing be done. So it is read as often as it takes to see it coming, for half a percent of a core at most.
// Growth is measured over half an interval or more, so that one request's moment is not taken for a trend.
#pragma once

#include "plimsoll/core/time.hpp"

namespace plimsoll {

// Of one worker; pressure is its share of its limit.
class PressureGrowth {
public:
    // Returns the growth a second, 0 where it does not grow or too little is known.
    double see(double pressure, Instant now, Duration interval);

private:
    double from_ = 0, growth_ = 0;
    Instant since_ = never;
};

class ReadingPace {
public:
    static constexpr double readings = 64; // for what is left
    static constexpr int idle = 200;       // times a round
    static constexpr Duration least = std::chrono::milliseconds{10};

    void begin() { soonest_ = -1; }
    void saw(double pressure, double growth); // of a worker, 0 and more
    // `took`: this round. At most `interval`.
    Duration pause(Duration took, Duration interval) const;

private:
    double soonest_ = -1; // seconds; negative: nobody grows
};

} // namespace plimsoll
