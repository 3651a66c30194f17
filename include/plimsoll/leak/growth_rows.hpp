// Intervals as rows of a regression: what of a worker's memory grew, against what may have made it grow.
//
//     reading   at rest    busy    busy   at rest    busy  ...
//     interval         '--1--' '--2--' '--3--' '--4--'
//     row               '--------1+2+3-------' '--4--  ...
//
// What requests hold at the moment of a reading is noise, often a hundred times that of a reading with nothing in flight. So
// intervals are joined up to the next reading at rest, where that is near: the sum is exact. Where none is near (workers of many
// slots are never at rest) they stay apart, and the fit undoes what it can (attribution.hpp).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "plimsoll/leak/attribution.hpp"

namespace plimsoll::leak {

using Life = std::vector<const Interval*>; // of one worker, in order

// What may grow memory: the background, all requests alike, and groups of labels, in this order.
struct Columns {
    std::vector<std::vector<std::size_t>> groups; // labels; empty: all requests
    std::vector<std::size_t> group_of;            // by label
    std::size_t count() const { return groups.size() + 1; }
    std::ptrdiff_t labelled() const {
        return static_cast<std::ptrdiff_t>(groups.size()) - (groups.back().empty() ? 1 : 0);
    }
};
// Labels by how often they were asked; the rare ones are nobody's, and count for label 0.
Columns columns_of(const Life& rows, const AttributionSettings& settings);

struct Rows {
    std::size_t columns = 0;
    std::vector<double> cells, growth;
    std::vector<bool> starts;    // a life begins here, or goes on after a jump
    std::vector<bool> from_busy; // requests were in flight when it began
    std::vector<bool> noisy;     // requests were in flight at one of its ends
    std::size_t count() const { return growth.size(); }
    std::span<const double> row(std::size_t i) const { return {&cells[i * columns], columns}; }
};
// A group's count is that of its first label, the busiest: bytes are told for one request to each of them.
std::vector<double> row_of(const Interval& interval, const Columns& columns);
Rows rows_of(std::span<const Life> lives, const Columns& columns);

} // namespace plimsoll::leak
