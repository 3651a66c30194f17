// Quantiles of amounts of memory, in bounded space: a histogram whose buckets grow by an eighth of an octave (9 %).
//
//   bucket(x) = floor(8 * log2(x / 64 KiB))          at most 9 % too high, never too low
//
// When `most` values have been counted all counts are halved, so that a thousand old values weigh as much as the next
// thousand new ones: it forgets slowly, and never everything at once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "plimsoll/core/bytes.hpp"

namespace plimsoll {

class Sketch {
public:
    void add(Bytes amount);
    Bytes quantile(double share) const;  // 0 of none; below 64 KiB everything is 64 KiB
    Bytes high() const { return high_; } // the 99th percentile, which is asked for at every decision
    unsigned count() const { return count_; }
    unsigned above(Bytes amount) const; // how many, but for those in its own bucket

    // What was counted turns out to be wrong. False: there is no such value.
    bool replace(Bytes wrong, Bytes right);
    void drop_highest(unsigned how_many);
    void halve(Bytes above, Bytes up_to); // the counts of those between, to the bucket

    static constexpr unsigned most = 1024;

private:
    static constexpr std::size_t buckets = std::size_t{8} * 22; // 64 KiB to 256 GiB
    static std::size_t bucket_of(Bytes amount);
    void count(Bytes amount);
    void changed(); // something was taken out
    void forget_half();

    std::array<std::uint16_t, buckets> counts_{};
    unsigned count_ = 0;
    Bytes largest_; // exact, where the bucket's upper edge would be 9 % off
    Bytes high_;
};

} // namespace plimsoll
