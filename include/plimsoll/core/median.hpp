// The upper median: of an even number of values the larger of the two in the middle. There must be one at least.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace plimsoll {

inline double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

} // namespace plimsoll
