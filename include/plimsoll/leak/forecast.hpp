// When a worker that goes on like this reaches its limit: in requests, and in seconds at the rate at which they come.
//
//     requests = (room - swing) / slope      early: (room - swing) / high      late: room / low
//     seconds  = requests / rate
//
// The room is that of the trend; what swings above it (plimsoll/leak/swing.hpp) is at the limit sooner, or with luck is not.
// Early is what one acts on: the worker does not reach the limit before it, as far as the interval of the slope holds.
#pragma once

#include <optional>

#include "plimsoll/core/robust_line.hpp"

namespace plimsoll::leak {

struct Forecast {
    double requests = 0, requests_early = 0, requests_late = 0; // late may be infinite
    std::optional<double> seconds, seconds_early, seconds_late; // unset: no requests come
    double room = 0;                                            // of the trend
};

// Nothing where the slope does not rise.
std::optional<Forecast> forecast(double room, double swing, const Line& trend, double requests_a_second);

// Growth slows down like age^p. How much more comes in the next `requests`, when it is `slope` a request at this age?
double growth_ahead(double age, double slope, double p, double requests);

} // namespace plimsoll::leak
