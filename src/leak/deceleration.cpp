#include "plimsoll/leak/deceleration.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace plimsoll::leak {

namespace {

constexpr std::size_t least_points = 4; // of a third
constexpr double fades_fast = 0.3;      // d2 by d1; of a logarithm over this window it is 0.5
constexpr double nearly = 0.7;          // of the last slope goes on

} // namespace

double exponent_of(std::span<const Point> window, double slope) {
    const auto middle = window.size() / 2;
    const auto early = theil_sen(window.first(middle)), late = theil_sen(window.subspan(middle));
    if (!early || !late || slope <= 0) return 1;
    if (late->slope <= 0) return -1;
    if (early->slope <= 0) return 2;
    const double x1 = (window.front().x + window[middle].x) / 2, x2 = (window[middle].x + window.back().x) / 2;
    if (x1 <= 0 || x2 <= x1) return 1;
    return std::clamp(1 + std::log(late->slope / early->slope) / std::log(x2 / x1), -1.0, 2.0);
}

bool settles(std::span<const Point> window) {
    if (window.size() < 3 * least_points) return false;
    const double first = window.front().x, third = (window.back().x - first) / 3;
    std::array<double, 3> slopes{};
    auto from = window.begin();
    for (std::size_t i = 0; i < slopes.size(); ++i) {
        const double end = first + third * static_cast<double>(i + 1);
        const auto to = i + 1 == slopes.size()
                            ? window.end()
                            : std::ranges::find_if(from, window.end(), [end](const Point& p) { return p.x >= end; });
        const std::span<const Point> part(from, to);
        const auto line = part.size() < least_points ? std::nullopt : theil_sen(part);
        if (!line) return false;
        slopes[i] = line->slope;
        from = to;
    }
    const double faded = slopes[0] - slopes[1], fades = std::max(slopes[1] - slopes[2], 0.0);
    if (slopes[2] <= 0 || faded <= 0 || fades > fades_fast * faded) return false;
    return slopes[2] - fades * fades / (faded - fades) >= nearly * slopes[2];
}

} // namespace plimsoll::leak
