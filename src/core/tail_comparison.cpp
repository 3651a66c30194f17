#include "plimsoll/core/tail_comparison.hpp"

#include <algorithm>
#include <cmath>

namespace plimsoll {

namespace {

constexpr double shortest = 1e-5, growth = 1.02; // seconds
constexpr double tail_share = 0.01, sigmas = 4;

} // namespace

std::size_t TailComparison::bucket_of(double seconds) {
    if (seconds <= shortest) return 0;
    return std::min(buckets - 1, 1 + static_cast<std::size_t>(std::log(seconds / shortest) / std::log(growth)));
}

void TailComparison::record(bool with, Duration took) {
    Side& side = with ? with_ : without_;
    ++side.counts[bucket_of(std::chrono::duration<double>(took).count())];
    ++side.count;
}

std::size_t TailComparison::p99_bucket(const Side& side) {
    const auto above = static_cast<std::uint64_t>(tail_share * static_cast<double>(side.count));
    std::uint64_t seen = 0;
    for (std::size_t bucket = buckets; bucket-- > 0;) {
        seen += side.counts[bucket];
        if (seen > above) return bucket;
    }
    return 0;
}

Duration TailComparison::p99(bool with) const {
    const Side& side = of(with);
    if (side.count == 0) return {};
    const double seconds = shortest * std::pow(growth, static_cast<double>(p99_bucket(side)));
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

bool TailComparison::risen(double by) const {
    if (with_.count < least || without_.count < least) return false;
    const auto steps = static_cast<std::size_t>(std::ceil(std::log1p(by) / std::log(growth)));
    std::uint64_t above = 0;
    for (std::size_t bucket = p99_bucket(without_) + steps + 1; bucket < buckets; ++bucket)
        above += with_.counts[bucket];
    const auto n = static_cast<double>(with_.count), m = static_cast<double>(without_.count);
    const double chance = sigmas * std::sqrt(tail_share * (1 - tail_share) * (1 / n + 1 / m));
    return static_cast<double>(above) / n - tail_share > chance;
}

} // namespace plimsoll
