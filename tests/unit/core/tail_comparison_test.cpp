#include "plimsoll/core/tail_comparison.hpp"

#include <random>

#include <gtest/gtest.h>

namespace plimsoll {
namespace {

// Exponential times of 20 ms; in the varied part every time is longer by a factor.
TailComparison drawn(double factor, unsigned count, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::exponential_distribution<> seconds(50);
    TailComparison times;
    for (unsigned i = 0; i < count; ++i) {
        times.record(false, std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds(random))));
        times.record(true,
                     std::chrono::duration_cast<Duration>(std::chrono::duration<double>(factor * seconds(random))));
    }
    return times;
}

TEST(TailComparison, the_p99_is_right_to_a_bucket) {
    const TailComparison times = drawn(1, 100'000, 1);
    EXPECT_NEAR(std::chrono::duration<double>(times.p99(false)).count(), 0.0921, 0.004);
    EXPECT_EQ(TailComparison{}.p99(true), Duration::zero());
}

TEST(TailComparison, a_clear_rise_is_seen) {
    EXPECT_TRUE(drawn(1.5, 5000, 2).risen(0.05));
    EXPECT_TRUE(drawn(1.2, 50'000, 3).risen(0.05));
}

TEST(TailComparison, the_same_times_are_no_rise) {
    unsigned alarms = 0;
    for (std::uint64_t seed = 0; seed < 200; ++seed) alarms += drawn(1, 2000, seed).risen(0.05) ? 1 : 0;
    EXPECT_LE(alarms, 4U);
}

TEST(TailComparison, a_rise_within_the_allowance_is_none) { EXPECT_FALSE(drawn(1.03, 100'000, 5).risen(0.05)); }

TEST(TailComparison, a_few_requests_prove_nothing) { EXPECT_FALSE(drawn(10, 400, 6).risen(0.05)); }

TEST(TailComparison, extreme_times_stay_within_the_histogram) {
    TailComparison times;
    for (unsigned i = 0; i < 1000; ++i) {
        times.record(false, Duration::zero());
        times.record(true, std::chrono::hours{100});
    }
    EXPECT_TRUE(times.risen(0.05));
}

} // namespace
} // namespace plimsoll
