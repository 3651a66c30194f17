#include "plimsoll/leak/swing.hpp"

#include <algorithm>
#include <functional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace plimsoll::leak {
namespace {

constexpr Line trend{.slope = 2, .low = 2, .high = 2, .at_zero = 100};
constexpr double headroom = 1e6;

std::vector<Point> peaks(std::size_t count, const std::function<double(std::size_t)>& above) {
    std::vector<Point> found;
    for (std::size_t i = 0; i < count; ++i) {
        const auto x = static_cast<double>(10 * i);
        found.push_back({x, trend.at(x) + above(i)});
    }
    return found;
}

TEST(Swing, who_does_not_swing_has_none) {
    EXPECT_EQ(swing({}, trend, headroom), 0);
    EXPECT_EQ(swing(peaks(40, [](auto) { return 0; }), trend, headroom), 0);
    EXPECT_EQ(swing(peaks(40, [](auto) { return -50; }), trend, headroom), 0);
}

TEST(Swing, teeth_of_one_height_swing_by_that_height_wherever_the_trend_is) {
    EXPECT_DOUBLE_EQ(swing(peaks(40, [](auto) { return 500; }), trend, headroom), 500);
    EXPECT_NEAR(swing(peaks(40, [](auto i) { return i % 8 == 0 ? 500 : 0; }), trend, headroom), 500, 1);
}

TEST(Swing, one_reading_that_never_comes_again_moves_nothing) {
    const auto usual = peaks(40, [](auto i) { return static_cast<double>(100 + i % 10); });
    auto odd = usual;
    odd[17].y += 100'000;
    EXPECT_NEAR(swing(odd, trend, headroom), swing(usual, trend, headroom), 5);
}

TEST(Swing, a_tail_is_expected_to_go_beyond_what_was_seen) {
    std::mt19937_64 random(5);
    std::exponential_distribution<double> exponential(1.0 / 100);
    unsigned exceeded = 0;
    constexpr unsigned trials = 400;
    for (unsigned trial = 0; trial < trials; ++trial) {
        const auto block = [&](auto) {
            double highest = 0;
            for (int i = 0; i < 20; ++i) highest = std::max(highest, exponential(random));
            return highest;
        };
        const double expected = swing(peaks(40, block), trend, headroom);
        if (block(0U) > expected) ++exceeded;
    }
    EXPECT_LE(exceeded, trials / 50); // the second highest of forty alone would be exceeded in one of twenty
}

TEST(Swing, it_is_never_more_than_half_of_the_headroom) {
    EXPECT_EQ(swing(peaks(40, [](auto) { return 900; }), trend, 1000), 500);
    EXPECT_EQ(swing(peaks(40, [](auto) { return 900; }), trend, -5), 0);
}

} // namespace
} // namespace plimsoll::leak
