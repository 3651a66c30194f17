// Which route leaks: growth of memory explained by how often each route was asked meanwhile.
//
//     growth_i = background + sum over routes r of  n_ir * bytes_r + noise_i        bytes_r >= 0, background >= 0
//
// An interval i is some hundred requests of one worker. Plain least squares fails here, and so does fitting all routes at once:
//   - a few intervals jump (an arena, a cache, a collection), and one jump outweighs hundreds of leaks. So residuals beyond
//     `huber` spreads count linearly (Huber's weights, found by reweighting), and no route may give memory back;
//   - what requests hold at the moment of a reading is in one growth with plus and in the next with minus. Rows go from one
//     reading at rest to the next where those are near (growth_rows.hpp), and rows of exact ends weigh more, by their own
//     spread. What is left is noise e_i - theta * e_(i-1), undone by x_i + theta * x_(i-1) + theta^2 * x_(i-2) ... on both sides
//     of the equation. theta is read from the residuals (0 where readings are exact); the sum starts anew after a jump;
//   - few routes of many leak. Routes are taken in one by one, the best first, as long as the fit gains more than chance
//     would give the best of so many (extended BIC, Chen and Chen 2008). "All requests alike" competes as if it were a route:
//     what middleware leaks is not blamed on whoever is asked most. It is named only where few routes that leak as much would
//     have shown: in the first stretches of a life nothing tells them from all.
// What a worker does in its first requests is left out. Routes that come together so regularly that nothing can separate
// them are one group, and said to be.
//
// Intervals of the answer, and its confidence, come from a bootstrap over stretches of each worker's life that chooses the
// routes anew each time. Who is not chosen nearly always is not named. They are widened by what such few stretches leave out,
// and because the answer is looked at again and again until it seems sure.
// Passive traffic separates routes slowly; shares of traffic that differ from worker to worker, faster (experiment.hpp).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace plimsoll::leak {

struct Interval {
    std::uint32_t worker = 0;   // with its generation: whose life it is a stretch of
    double age = 0;             // requests that the worker had served before
    double growth = 0;          // bytes
    std::vector<double> counts; // requests, by label; label 0 is the rest that has no label of its own
    bool busy = false;          // requests were in flight when it ended
};

struct AttributionSettings {
    double young = 2000;            // intervals of younger workers are left out
    double huber = 1.345;           // spreads
    double alike = 0.98;            // correlation from which two labels are one group
    double rare = 5;                // requests in all; labels with fewer join label 0
    std::size_t most_columns = 256; // labels beyond, the rarest, join label 0
    std::size_t most_shares = 8;    // routes that leak at once
    unsigned bootstraps = 100;      // 0: no intervals, and everybody who fits is named
    double named_from = 0.95;       // confidence
    std::size_t least = 30;         // intervals; fewer tell nothing
};

struct Share {                           // of the growth
    std::vector<std::size_t> labels;     // one, or several that always come together; empty: all requests alike
    double bytes = 0, low = 0, high = 0; // a request; 95 %
    double share = 0;                    // of all growth that is explained by requests
    double confidence = 1;               // part of the bootstraps that name it
};

struct Candidate {
    std::size_t label = 0;
    double share = 0; // of all requests
};

struct Attribution {
    std::vector<Share> shares;   // the largest first; only those that surely grow
    double unnamed = 0;          // the largest share of the growth of one that fits, but not surely enough to be named
    double background = 0;       // bytes an interval, whatever is asked
    double first = 0;            // part of the bootstraps in which shares[0] is the largest, too
    std::size_t intervals = 0;   // that counted
    std::vector<Candidate> open; // who may leak, by this evidence, the likeliest first; empty: any may
};

Attribution attribute(std::span<const Interval> intervals, const AttributionSettings& settings, std::uint64_t chance);

// Is the heaviest route known, and what it leaks to within a tenth? More evidence would change nothing for whoever mends it.
bool sure(const Attribution& found);

// Is the heaviest one route, or all alike? A group that nothing has told apart yet is what an experiment can part.
bool parted(const Attribution& found);

} // namespace plimsoll::leak
