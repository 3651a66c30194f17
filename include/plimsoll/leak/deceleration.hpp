// Whether growth slows down, and whether it comes to rest or settles at a slope that goes on.
//
// The exponent: growth ~ age^p, from the slopes of the earlier and the later half of a window, at the middle of each:
//
//     p = 1 + log(q2 / q1) / log(x2 / x1)      1 goes on, below it slows down
//
// That is asked of one curve. A leak under a warm-up is the sum of two: one fades, one is a line. In the slopes of the window's
// thirds the line is what the fading part runs out to, by Aitken's delta-squared process (1926), exact where it fades
// exponentially:
//
//     slope |*
//           |  '.                  d1 = s1 - s2, d2 = s2 - s3, d2 well below d1
//           |    *-._
//           |        '--*- - - - -  limit = s3 - d2^2 / (d1 - d2)
//           '-------------------- age
//
// Logarithms and powers (holes of a heap, a cache of popular keys) fade evenly, d2 is half of d1 and more: of them it says nothing.
// Nor of a cache that fills exponentially, or of a warm-up alone: their limit is 0.
#pragma once

#include <span>

#include "plimsoll/core/robust_line.hpp"

namespace plimsoll::leak {

// -1 to 2; 1 where it cannot be told. `slope` is the whole window's.
double exponent_of(std::span<const Point> window, double slope);

// What faded has faded: the slope of the last third is nearly its limit.
bool settles(std::span<const Point> window);

} // namespace plimsoll::leak
