#include "plimsoll/fleet/sharers.hpp"

#include <algorithm>

namespace plimsoll {

void Sharers::clear() {
    living_.clear();
    sums_.clear();
}

void Sharers::add(const std::string& domain) {
    ++living_[domain];
    sums_.clear();
}

unsigned Sharers::of(const std::string& domain) {
    if (const auto known = sums_.find(domain); known != sums_.end()) return known->second;
    const auto there = living_.find(domain);
    unsigned sum = there == living_.end() ? 0 : there->second;
    const std::string below = domain + "/";
    if (domain.starts_with('/'))
        for (auto each = living_.lower_bound(below); each != living_.end() && each->first.starts_with(below); ++each)
            sum += each->second;
    return sums_[domain] = std::max(1U, sum);
}

} // namespace plimsoll
