#include "plimsoll/fleet/reading_pace.hpp"

#include <algorithm>

namespace plimsoll {

double PressureGrowth::see(double pressure, Instant now, Duration interval) {
    if (since_ == never) {
        from_ = pressure;
        since_ = now;
    } else if (now - since_ >= interval / 2) {
        growth_ = std::max(pressure - from_, 0.0) / std::chrono::duration<double>(now - since_).count();
        from_ = pressure;
        since_ = now;
    }
    return growth_;
}

void ReadingPace::saw(double pressure, double growth) {
    if (growth <= 0) return;
    const double left = std::max(1 - pressure, 0.0) / growth / readings;
    soonest_ = soonest_ < 0 ? left : std::min(soonest_, left);
}

Duration ReadingPace::pause(Duration took, Duration interval) const {
    if (soonest_ < 0 || soonest_ >= std::chrono::duration<double>(interval).count()) return interval;
    const auto wanted = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(soonest_));
    return std::min(interval, std::max({wanted, took * idle, least}));
}

} // namespace plimsoll
