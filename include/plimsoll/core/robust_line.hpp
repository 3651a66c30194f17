// A straight line through points of which some lie: Theil-Sen, the median of the slopes of all pairs.
//
//     slope = median { (y_j - y_i) / (x_j - x_i) : x_i < x_j }
//
// Up to 29 % of the points may be anything without moving it far, where one outlier bends least squares. The interval is
// Sen's (1968): of the N sorted slopes the (N - C)/2-th and the (N + C)/2-th, with C = z * sqrt(n (n-1) (2n+5) / 18), the
// spread of Kendall's tau under no trend. It assumes independent residuals; neighbours in time are not, so callers widen it
// by `z`. O(n^2): meant for some dozens of points.
#pragma once

#include <optional>
#include <span>

namespace plimsoll {

struct Point {
    double x = 0, y = 0;
};

struct Line {
    double slope = 0, low = 0, high = 0; // of y per x, with its interval
    double at_zero = 0;                  // median of y - slope * x
    double at(double x) const { return at_zero + slope * x; }
};

// Nothing for fewer than three distinct x. The points are sorted by x.
std::optional<Line> theil_sen(std::span<const Point> points, double z = 2.0);

} // namespace plimsoll
