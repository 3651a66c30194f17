// Time as the pure world sees it: a value that comes in as an argument.
//
// This is the only place that names the clock. Nothing under include/plimsoll reads it; the shell does, once per event.
#pragma once

#include <chrono>

namespace plimsoll {

using Clock = std::chrono::steady_clock;
using Instant = Clock::time_point;
using Duration = Clock::duration;

// The instant that never comes: "no deadline".
inline constexpr Instant never = Instant::max();

// For arithmetic that is done in seconds.
constexpr double to_seconds(Duration span) { return std::chrono::duration<double>(span).count(); }
constexpr Duration from_seconds(double seconds) {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

} // namespace plimsoll
