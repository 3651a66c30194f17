// Has a change made the slowest requests slower? Two histograms of times, with and without it, and a one-sided test:
//
//     limit = (1 + by) * p99 without        tail = part of the times with it that are above the limit
//     risen:  tail - 0.01 > 4 * sqrt(0.01 * 0.99 * (1/n + 1/m))
//
// Four deviations, for it is looked at again and again, and the times of neighbours in a queue resemble each other. With
// 10,000 of each a rise of an eighth shows, with 100,000 one of a twentieth.
//
// The two should alternate, so that what the day does to both cancels out. Buckets grow by 2 %, so a rise of 5 % shows.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "plimsoll/core/time.hpp"

namespace plimsoll {

class TailComparison {
public:
    void record(bool with, Duration took);
    std::uint64_t count(bool with) const { return of(with).count; }
    Duration p99(bool with) const; // the upper edge of its bucket; 0 of none
    bool risen(double by) const;   // false while too few are known

    static constexpr std::uint64_t least = 500; // of each, before it says anything

private:
    static constexpr std::size_t buckets = 1024; // 2 % each, from 10 us: up to two hours
    struct Side {
        std::array<std::uint32_t, buckets> counts{};
        std::uint64_t count = 0;
    };
    static std::size_t bucket_of(double seconds);
    static std::size_t p99_bucket(const Side& side);
    const Side& of(bool with) const { return with ? with_ : without_; }

    Side with_, without_;
};

} // namespace plimsoll
