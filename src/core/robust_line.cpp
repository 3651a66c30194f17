#include "plimsoll/core/robust_line.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace plimsoll {

std::optional<Line> theil_sen(std::span<const Point> points, double z) {
    std::vector<double> slopes;
    slopes.reserve(points.size() * points.size() / 2);
    for (std::size_t i = 0; i < points.size(); ++i)
        for (std::size_t j = i + 1; j < points.size(); ++j)
            if (points[j].x > points[i].x) slopes.push_back((points[j].y - points[i].y) / (points[j].x - points[i].x));
    if (slopes.size() < 3) return std::nullopt;

    const auto n = static_cast<double>(points.size());
    const auto count = static_cast<double>(slopes.size());
    const double spread = z * std::sqrt(n * (n - 1) * (2 * n + 5) / 18);
    const auto rank = [&](double position) {
        const double index = std::clamp(std::floor(position), 0.0, count - 1);
        const auto at = slopes.begin() + static_cast<std::ptrdiff_t>(index);
        std::nth_element(slopes.begin(), at, slopes.end());
        return *at;
    };
    Line line;
    line.slope = rank((count - 1) / 2);
    line.low = rank((count - spread) / 2);
    line.high = rank((count + spread) / 2);

    std::vector<double>& rest = slopes;
    rest.clear();
    for (const Point& point : points) rest.push_back(point.y - line.slope * point.x);
    const auto middle = rest.begin() + static_cast<std::ptrdiff_t>(rest.size() / 2);
    std::nth_element(rest.begin(), middle, rest.end());
    line.at_zero = *middle;
    return line;
}

} // namespace plimsoll
