#include "plimsoll/fleet/death_loop.hpp"

#include <gtest/gtest.h>

namespace plimsoll {
namespace {

using namespace std::chrono_literals;
using News = DeathLoop::News;

constexpr Instant first = Instant{} + 1h;

TEST(DeathLoop, begins_with_the_third_within_a_minute_and_goes_on_while_they_follow) {
    DeathLoop loop;
    EXPECT_FALSE(loop.open(first));
    EXPECT_EQ(loop.died(first), News::apart);
    EXPECT_EQ(loop.died(first + 59s), News::apart);
    EXPECT_EQ(loop.died(first + 59s + 900ms), News::began);
    EXPECT_EQ(loop.deaths(), 3U);
    EXPECT_TRUE(loop.open(first + 119s));
    EXPECT_EQ(loop.died(first + 119s), News::goes_on) << "each of them keeps it open for a minute";
    EXPECT_EQ(loop.died(first + 178s), News::goes_on);
    EXPECT_EQ(loop.deaths(), 5U);
}

TEST(DeathLoop, deaths_that_are_far_apart_are_no_loop) {
    DeathLoop loop;
    for (int i = 0; i < 10; ++i) EXPECT_EQ(loop.died(first + i * 30s), News::apart) << i;
}

TEST(DeathLoop, ends_after_a_minute_of_peace_and_needs_three_to_begin_again) {
    DeathLoop loop;
    for (int i = 0; i < 4; ++i) loop.died(first + i * 1s);
    EXPECT_TRUE(loop.open(first + 62s));
    EXPECT_FALSE(loop.open(first + 63s));
    EXPECT_EQ(loop.died(first + 63s), News::apart);
    EXPECT_FALSE(loop.open(first + 63s));
    EXPECT_EQ(loop.died(first + 64s), News::apart);
    EXPECT_EQ(loop.died(first + 65s), News::began);
    EXPECT_EQ(loop.deaths(), 3U);
}

} // namespace
} // namespace plimsoll
