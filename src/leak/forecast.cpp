#include "plimsoll/leak/forecast.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace plimsoll::leak {

std::optional<Forecast> forecast(double room, double swing, const Line& trend, double requests_a_second) {
    if (!(trend.slope > 0)) return std::nullopt;
    constexpr double forever = std::numeric_limits<double>::infinity();
    room = std::max(room, 0.0);
    const double below_swing = std::max(room - swing, 0.0);
    Forecast found;
    found.room = room;
    found.requests = below_swing / trend.slope;
    found.requests_early = below_swing / std::max(trend.high, trend.slope);
    found.requests_late = trend.low > 0 ? room / trend.low : forever;
    if (requests_a_second > 0) {
        found.seconds = found.requests / requests_a_second;
        found.seconds_early = found.requests_early / requests_a_second;
        found.seconds_late = found.requests_late / requests_a_second;
    }
    return found;
}

double growth_ahead(double age, double slope, double p, double requests) {
    if (age <= 0) return slope * requests;
    const double ratio = (age + requests) / age;
    if (std::abs(p) < 0.01) return slope * age * std::log(ratio);
    return slope * age / p * (std::pow(ratio, p) - 1);
}

} // namespace plimsoll::leak
