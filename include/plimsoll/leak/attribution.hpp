// Which route leaks: growth of memory explained by how often each route was asked meanwhile.
//
//     growth_i = background + sum over routes r of  n_ir * bytes_r + noise_i        bytes_r >= 0, background >= 0
//
// An interval i is some hundred requests of one worker. Plain least squares fails here: a few intervals jump (an arena, a
// cache, a collection), and one jump outweighs hundreds of leaks. So residuals beyond `huber` spreads count linearly
// (Huber's weights, found by reweighting), no route may give memory back (non-negative least squares by coordinate
// descent), what a worker does in its first requests is left out, and routes that come together so regularly that nothing
// can separate them are one group, and said to be.
//
// Intervals of the answer come from a bootstrap over stretches of each worker's life, as neighbours resemble each other; what
// it cannot hold against zero is left out, and the rest is fitted anew.
// Passive traffic separates routes slowly; shares of traffic that differ from worker to worker, four times as fast.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace plimsoll::leak {

struct Interval {
    std::uint32_t worker = 0;   // with its generation: whose life it is a stretch of
    double age = 0;             // requests that the worker had served before
    double growth = 0;          // bytes
    std::vector<double> counts; // requests, by label
};

struct AttributionSettings {
    double young = 2000;      // intervals of younger workers are left out
    double huber = 1.345;     // spreads
    double alike = 0.98;      // correlation from which two labels are one group
    unsigned bootstraps = 60; // 0: no intervals
    std::size_t stretch = 10; // intervals that are drawn together
    std::size_t least = 30;   // intervals; fewer tell nothing
};

struct Share {                           // of the growth
    std::vector<std::size_t> labels;     // one, or several that always come together
    double bytes = 0, low = 0, high = 0; // a request
    double share = 0;                    // of all growth that routes explain
};

struct Attribution {
    std::vector<Share> shares; // the largest first; only those that surely grow
    double background = 0;     // bytes an interval, whatever is asked
    std::size_t intervals = 0; // that counted
};

Attribution attribute(std::span<const Interval> intervals, const AttributionSettings& settings, std::uint64_t chance);

} // namespace plimsoll::leak
