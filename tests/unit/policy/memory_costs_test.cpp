#include "plimsoll/policy/memory_costs.hpp"

#include <array>
#include <random>

#include <gtest/gtest.h>

namespace plimsoll {
namespace {

constexpr CostKey light = 1, heavy = 2, other = 3;

double mebibytes(Bytes amount) { return static_cast<double>(amount.count) / (1 << 20); }

TEST(Sketch, a_quantile_is_never_too_low_and_at_most_a_tenth_too_high) {
    Sketch sketch;
    for (int i = 1; i <= 1000; ++i) sketch.add(1_MiB * i);
    for (const double share : {0.1, 0.5, 0.9, 0.99, 1.0}) {
        const double exact = share * 1000;
        EXPECT_GE(mebibytes(sketch.quantile(share)), exact * 0.999) << share;
        EXPECT_LE(mebibytes(sketch.quantile(share)), exact * 1.1) << share;
    }
    EXPECT_EQ(Sketch{}.quantile(0.5), Bytes{});
}

TEST(Sketch, what_is_not_seen_any_more_is_forgotten_slowly) {
    Sketch sketch;
    for (int i = 0; i < 200; ++i) sketch.add(800_MiB);
    for (int i = 0; i < 500; ++i) sketch.add(1_MiB);
    EXPECT_GT(sketch.quantile(0.99), 700_MiB) << "too soon";
    for (int i = 0; i < 6000; ++i) sketch.add(1_MiB);
    EXPECT_LT(sketch.quantile(0.99), 2_MiB);
}

TEST(MemoryCosts, a_label_is_known_after_three_readings_of_its_own) {
    MemoryCosts costs;
    const std::array alone{heavy};
    for (int i = 0; i < 2; ++i) costs.rose(alone, 200_MiB);
    EXPECT_FALSE(costs.known(heavy));
    EXPECT_EQ(costs.expected(heavy), Bytes{}) << "two readings promise nothing";
    costs.rose(alone, 201_MiB);
    ASSERT_TRUE(costs.known(heavy));
    EXPECT_EQ(costs.expected(heavy), 201_MiB);
}

// The agent's readings: a second of a worker that served twenty requests, of which a tenth need 200 MB.
TEST(MemoryCosts, readings_over_many_requests_tell_the_heavy_label_from_the_light_one) {
    std::mt19937_64 random(7);
    MemoryCosts costs;
    for (int reading = 0; reading < 150; ++reading) {
        bool with_heavy = false;
        for (int request = 0; request < 20; ++request) with_heavy |= random() % 10 == 0;
        const std::array both{light, heavy};
        const std::array only_light{light};
        if (with_heavy)
            costs.rose(both, 200_MiB);
        else
            costs.rose(only_light, 1_MiB);
    }
    EXPECT_NEAR(mebibytes(costs.expected(heavy)), 200, 20);
    EXPECT_LT(mebibytes(costs.expected(light)), 2) << "blamed for its neighbour";
}

TEST(MemoryCosts, two_at_once_need_half_of_the_rise_each) {
    MemoryCosts costs;
    const std::array twice{heavy, heavy};
    for (int i = 0; i < 5; ++i) costs.rose(twice, 400_MiB);
    EXPECT_NEAR(mebibytes(costs.expected(heavy)), 200, 1);
}

TEST(MemoryCosts, a_label_beyond_the_table_is_blamed_for_nothing_and_spoils_no_reading_of_another) {
    MemoryCosts costs;
    const std::array strange{light, static_cast<CostKey>(MemoryCosts::most + 1)};
    for (int i = 0; i < 5; ++i) costs.rose(strange, 500_MiB);
    EXPECT_FALSE(costs.known(light));
    EXPECT_FALSE(costs.known(static_cast<CostKey>(MemoryCosts::most + 1)));
    EXPECT_FALSE(costs.known(0));
}

TEST(MemoryCosts, a_key_that_is_another_labels_now_begins_anew) {
    MemoryCosts costs;
    const std::array alone{other};
    for (int i = 0; i < 3; ++i) costs.rose(alone, 9_MiB);
    costs.kept(other, 1_MiB);
    EXPECT_EQ(costs.retained(other), 1_MiB);
    costs.forget(other);
    EXPECT_FALSE(costs.known(other));
    EXPECT_EQ(costs.retained(other), Bytes{});
}

} // namespace
} // namespace plimsoll
