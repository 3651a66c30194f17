#include "plimsoll/core/sketch.hpp"

#include <algorithm>
#include <cmath>

namespace plimsoll {

namespace {

constexpr double least = 64.0 * 1024;
constexpr double an_octave = 8;
constexpr double nearly_all = 0.99;

double upper_edge(std::size_t bucket) { return least * std::exp2((static_cast<double>(bucket) + 1) / an_octave); }

} // namespace

std::size_t Sketch::bucket_of(Bytes amount) {
    const double steps = std::floor(an_octave * std::log2(std::max(static_cast<double>(amount.count) / least, 1.0)));
    return std::min(static_cast<std::size_t>(steps), buckets - 1);
}

void Sketch::add(Bytes amount) {
    count(amount);
    high_ = quantile(nearly_all);
}

void Sketch::count(Bytes amount) {
    if (count_ >= most) forget_half();
    ++counts_[bucket_of(amount)];
    ++count_;
    largest_ = std::max(largest_, amount);
}

unsigned Sketch::above(Bytes amount) const {
    unsigned sum = 0;
    for (std::size_t bucket = bucket_of(amount) + 1; bucket < buckets; ++bucket) sum += counts_[bucket];
    return sum;
}

bool Sketch::replace(Bytes wrong, Bytes right) {
    std::uint16_t& counted = counts_[bucket_of(wrong)];
    if (counted == 0) return false;
    --counted;
    --count_;
    changed();
    add(right);
    return true;
}

void Sketch::drop_highest(unsigned how_many) {
    for (std::size_t bucket = buckets; bucket-- > 0 && how_many > 0;) {
        const auto dropped = std::min<unsigned>(counts_[bucket], how_many);
        counts_[bucket] = static_cast<std::uint16_t>(counts_[bucket] - dropped);
        count_ -= dropped;
        how_many -= dropped;
    }
    changed();
}

void Sketch::halve(Bytes above, Bytes up_to) {
    for (std::size_t bucket = bucket_of(above) + 1; bucket <= bucket_of(up_to); ++bucket) {
        count_ -= counts_[bucket] - counts_[bucket] / 2;
        counts_[bucket] /= 2;
    }
    changed();
}

// The largest is exact only as long as its own bucket holds it.
void Sketch::changed() {
    Bytes most_of_all;
    for (std::size_t bucket = buckets; bucket-- > 0 && most_of_all.count == 0;)
        if (counts_[bucket] > 0) most_of_all = std::min(largest_, Bytes{static_cast<std::int64_t>(upper_edge(bucket))});
    largest_ = most_of_all;
    high_ = quantile(nearly_all);
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
    for (std::uint16_t& each : counts_) count_ += each = static_cast<std::uint16_t>(each / 2);
    changed();
}

} // namespace plimsoll
