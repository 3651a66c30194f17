// How many workers a pool usually has, and whether some are missing now: the dead and the recycled will be back, and a longer
// queue is borne until then. Not for ever: time with too few of them adds up, time with all of them takes it away again more
// slowly, and beyond `memory` so few are what there is. So one that comes back for a second and dies again excuses little.
//
//   missed += dt while fewer accept than usual, -= dt / 4 while not          missed > 30 s: usual = those that accept
#pragma once

#include <algorithm>
#include <cstddef>

#include "plimsoll/core/time.hpp"

namespace plimsoll {

class UsualWorkers {
public:
    static constexpr Duration memory = std::chrono::seconds{30};

    // To be called before their number changes, and now and then.
    void look(Instant now, std::size_t accepting) {
        const Duration since = std::clamp<Duration>(now - looked_, Duration::zero(), longest_look);
        looked_ = now;
        if (accepting >= usual_) {
            usual_ = accepting;
            missed_ = std::max(missed_ - since / 4, Duration::zero());
            return;
        }
        missed_ += since;
        if (missed_ <= memory) return;
        missed_ = memory;
        usual_ = accepting;
    }
    void has_left() { usual_ -= usual_ > 0; } // one of them, and its place is taken
    bool missing(std::size_t accepting) const { return accepting < usual_; }
    std::size_t usual() const { return usual_; }

private:
    static constexpr Duration longest_look = std::chrono::seconds{1}; // nobody looked: nothing is known of that time

    std::size_t usual_ = 0;
    Duration missed_{};
    Instant looked_{};
};

} // namespace plimsoll
