#include "plimsoll/leak/swing.hpp"

#include <algorithm>
#include <functional>
#include <vector>

namespace plimsoll::leak {

namespace {

// Of Gumbel's distribution with scale 1: from its median to its upper quartile, and to what it exceeds once in a thousand.
constexpr double quartiles_apart = 0.879, one_in_a_thousand = 6.54;
constexpr double unseen = 1.5; // of the second highest: more than that is no extrapolation
constexpr double most = 0.5;   // of the headroom

} // namespace

double swing(std::span<const Point> peaks, const Line& trend, double headroom) {
    if (peaks.size() < 2) return 0;
    std::vector<double> above;
    above.reserve(peaks.size());
    for (const Point& peak : peaks) above.push_back(std::max(peak.y - trend.at(peak.x), 0.0));
    std::ranges::sort(above, std::greater<>());
    const double middle = above[above.size() / 2], high = above[above.size() / 4], second = above[1];
    const double rare = middle + one_in_a_thousand * (high - middle) / quartiles_apart;
    return std::min(std::clamp(rare, second, unseen * second), most * std::max(headroom, 0.0));
}

} // namespace plimsoll::leak
