#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace plimsoll::sim {

inline double quantile(std::vector<double> values, double share) { // 0 of none
    if (values.empty()) return 0;
    const auto place = values.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
    std::nth_element(values.begin(), place, values.end());
    return *place;
}

} // namespace plimsoll::sim
