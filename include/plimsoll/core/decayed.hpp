// How often something happens, weighted towards now: a count that fades with time constant `memory`.
//
//   at an event: count = count * exp(-elapsed / memory) + n           rate = count / memory
#pragma once

#include <algorithm>
#include <cmath>

#include "plimsoll/core/time.hpp"

namespace plimsoll {

class DecayedCount {
public:
    void add(Instant now, Duration memory, double n = 1) {
        count_ = faded(now, memory) + n;
        at_ = now;
    }
    double per_second(Instant now, Duration memory) const { return faded(now, memory) / seconds(memory); }

private:
    static double seconds(Duration span) { return std::chrono::duration<double>(span).count(); }
    double faded(Instant now, Duration memory) const {
        if (now <= at_) return count_; // those of one batch come at the same moment
        return count_ == 0 ? 0 : count_ * std::exp(-seconds(now - at_) / seconds(memory));
    }

    double count_ = 0;
    Instant at_{};
};

} // namespace plimsoll
