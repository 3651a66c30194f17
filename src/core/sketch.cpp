#include "plimsoll/core/sketch.hpp"

#include <algorithm>
#include <cmath>

namespace plimsoll {

namespace {

constexpr double least = 64.0 * 1024;
constexpr double an_octave = 8;

double upper_edge(std::size_t bucket) { return least * std::exp2((static_cast<double>(bucket) + 1) / an_octave); }

} // namespace

void Sketch::add(Bytes amount) {
    if (count_ >= most) forget_half();
    const double steps = std::floor(an_octave * std::log2(std::max(static_cast<double>(amount.count) / least, 1.0)));
    ++counts_[std::min(static_cast<std::size_t>(steps), buckets - 1)];
    ++count_;
    largest_ = std::max(largest_, amount);
}

Bytes Sketch::quantile(double share) const {
    const auto wanted = static_cast<unsigned>(std::ceil(std::clamp(share, 0.0, 1.0) * count_));
    unsigned seen = 0;
    for (std::size_t bucket = 0; bucket < buckets && count_ > 0; ++bucket) {
        seen += counts_[bucket];
        if (seen >= std::max(wanted, 1U)) {
            const Bytes edge{static_cast<std::int64_t>(upper_edge(bucket))};
            return std::min(edge, std::max(largest_, Bytes{static_cast<std::int64_t>(least)}));
        }
    }
    return {};
}

void Sketch::forget_half() {
    count_ = 0;
    std::size_t highest = 0;
    for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
        count_ += counts_[bucket] = static_cast<std::uint16_t>(counts_[bucket] / 2);
        if (counts_[bucket] > 0) highest = bucket;
    }
    largest_ = std::min(largest_, Bytes{static_cast<std::int64_t>(upper_edge(highest))});
}

} // namespace plimsoll
