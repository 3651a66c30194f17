#include "plimsoll/policy/overload.hpp"

#include <algorithm>
#include <cmath>

namespace plimsoll {

using namespace std::chrono_literals;

namespace {
constexpr int quiet_intervals = 10; // where a little too much is asked, chance alone makes pauses between refusals
}

Duration Overload::interval(Duration target) { return std::clamp<Duration>(10 * target, 50ms, 1s); }

bool Overload::growing() const {
    const auto in = static_cast<double>(arrivals_), out = static_cast<double>(departures_);
    return in - out > 32 + 0.02 * out + 3 * std::sqrt(out);
}

void Overload::look(Instant now, const Sight& sight) {
    const Duration interval = Overload::interval(sight.target);
    if (on_) {
        if (now - last_refusal_ > quiet_intervals * interval) on_ = standing_ = false;
        return;
    }
    if (!sight.waiting || sight.oldest <= sight.target || sight.workers_missing) {
        standing_ = false;
        return;
    }
    if (!standing_) {
        standing_ = true;
        since_ = now;
        arrivals_ = departures_ = 0;
        return;
    }
    const Duration patience = std::max<Duration>(4 * sight.target, 100ms);
    if (now - since_ < interval || sight.expected < patience || !growing()) return;
    on_ = true;
    last_refusal_ = now;
}

} // namespace plimsoll
