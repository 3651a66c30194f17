// How far memory swings above its trend: a worker dies of its highest moment, not of its low-water marks.
//
//   used |            .       limit - - - - - - - - -x- -
//        |     .     /|   ./|    ./|    ./|    ./|  /|     peaks of the blocks, above the trend:
//        |   ./|   ./ | ./  |  ./  |  ./  |  ./  |./ |       sorted   a1 >= a2 >= ... >= an
//        | ./  |_./   |/_ _ | / _ _|_/_ _ | / _ trend        spread   b = (q75 - q50) / 0.879
//        '--------------------------------------- requests   swing    q50 + 6.54 b, between a2 and 1.5 a2
//
// Maxima of blocks follow Gumbel's distribution where single readings have a tail of the exponential kind (Gumbel, Statistics of
// Extremes, 1958); what one block in a thousand exceeds is read off its quartiles, which a few odd blocks do not move. The
// second highest block bounds it on both sides: one reading that never comes again moves nothing, and the peaks of a sawtooth,
// which have no tail, are no reason to expect much more than was seen. It forgets with the window that it is given.
//
// Half of the headroom is the most: who swings further is in danger without any leak, and must not be recycled for ever.
#pragma once

#include <span>

#include "plimsoll/core/robust_line.hpp"

namespace plimsoll::leak {

// Of the highest readings of some blocks, in their unit. 0: fewer than two blocks.
double swing(std::span<const Point> peaks, const Line& trend, double headroom);

} // namespace plimsoll::leak
