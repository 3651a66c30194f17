// How long to wait before a server that ended is started again: not at all after one that had served, so that a crash costs
// as little capacity as possible; then 0.5 s, doubling to 30 s, while it does not get that far.
#pragma once

#include <algorithm>

#include "plimsoll/core/time.hpp"

namespace plimsoll::fleet {

class Backoff {
public:
    Duration next(bool had_served) {
        if (had_served) pause_ = Duration::zero();
        const Duration pause = pause_;
        pause_ = std::clamp<Duration>(pause_ * 2, std::chrono::milliseconds{500}, std::chrono::seconds{30});
        return pause;
    }

private:
    Duration pause_{};
};

} // namespace plimsoll::fleet
