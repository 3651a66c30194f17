// The parts that the detector is made of: block minima, history, forecast.
#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "plimsoll/leak/block_minima.hpp"
#include "plimsoll/leak/forecast.hpp"
#include "plimsoll/leak/history.hpp"

namespace plimsoll::leak {
namespace {

TEST(BlockMinima, of_each_block_only_the_lowest_counts) {
    BlockMinima minima(10);
    for (int x = 0; x <= 40; ++x) minima.add(x, x % 10 == 7 ? x : 1000 + x);
    ASSERT_EQ(minima.points().size(), 4U);
    EXPECT_EQ(minima.points()[2].x, 27);
    EXPECT_EQ(minima.points()[2].y, 27);
}

TEST(BlockMinima, a_long_life_takes_no_more_space_than_a_short_one) {
    BlockMinima minima(16, 64);
    for (int x = 0; x < 1'000'000; x += 3) minima.add(x, x);
    EXPECT_LT(minima.points().size(), 64U);
    EXPECT_GE(minima.points().size(), 31U);
    EXPECT_LT(minima.points().front().x, minima.width());
    EXPECT_GE(minima.since(500'000).front().x, 500'000);
    EXPECT_LT(minima.since(500'000).front().x, 500'000 + minima.width());
}

TEST(BlockMinima, requests_that_come_in_bursts_still_make_two_readings_a_block) {
    BlockMinima minima(10);
    minima.add(0, 5);
    minima.add(30, 9);
    minima.add(60, 7);
    ASSERT_EQ(minima.points().size(), 1U);
    EXPECT_EQ(minima.points()[0].y, 5);
    EXPECT_EQ(minima.open_mark(), 7);
}

TEST(BlockMinima, readings_that_are_far_apart_are_a_block_each) {
    BlockMinima minima(10);
    for (int x = 0; x <= 400; x += 100) minima.add(x, x);
    EXPECT_EQ(minima.points().size(), 4U);
}

TEST(BlockMinima, of_each_block_the_highest_is_kept_too_and_of_the_open_one) {
    BlockMinima minima(10, 4);
    for (int x = 0; x < 100; ++x) minima.add(x, x == 35 ? 700 : x == 99 ? 900 : x);
    const auto peaks = minima.peaks_since(0);
    ASSERT_EQ(peaks.size(), minima.points().size() + 1);
    EXPECT_TRUE(std::ranges::any_of(peaks, [](const Point& peak) { return peak.x == 35 && peak.y == 700; }));
    EXPECT_EQ(peaks.back().y, 900);
    EXPECT_TRUE(minima.peaks_since(1000).empty());
}

AgeCurve curve(std::uint64_t life, double end, float growth, float trend) {
    AgeCurve made;
    made.life = life;
    made.ended = true;
    made.tell(end, {growth, trend});
    return made;
}

TEST(History, a_life_is_no_precedent_for_itself) {
    History history;
    history.learn(curve(7, 10'000, 1, 1));
    EXPECT_FALSE(history.precedent(1000, 0, 7));
    EXPECT_TRUE(history.precedent(1000, 0, 8));
}

TEST(History, a_life_too_short_to_compare_says_nothing) {
    History history;
    history.learn(curve(1, 1000, 1, 1));
    EXPECT_FALSE(history.precedent(1000, 2000, 9));
    EXPECT_FALSE(history.precedent(100'000, 0, 9));
    ASSERT_TRUE(history.precedent(1000, 0, 9));
    EXPECT_FALSE(history.precedent(1000, 0, 9)->older);
    EXPECT_TRUE(history.precedent(300, 0, 9)->older);
}

TEST(History, a_living_sibling_of_the_same_age_is_no_precedent) {
    AgeCurve sibling = curve(1, 10'000, 1, 1);
    sibling.ended = false;
    History history;
    history.learn(sibling);
    EXPECT_FALSE(history.precedent(9000, 0, 9));
    EXPECT_TRUE(history.precedent(5000, 0, 9));
    EXPECT_FALSE(history.precedent(5000, 20'000, 9)) << "it is too young to say anything";
}

TEST(History, who_lives_takes_no_place_of_those_that_are_gone_and_is_not_kept) {
    History history;
    for (std::uint64_t life = 1; life <= History::most; ++life) history.learn(curve(life, 1000, 1, 1));
    AgeCurve sibling = curve(100, 10'000, 5, 5);
    sibling.ended = false;
    history.learn(sibling);
    EXPECT_EQ(history.curves().size(), History::most);
    EXPECT_EQ(history.curves().front().life, 1U);
    EXPECT_EQ(history.precedent(6000, 0, 9)->curves, 1U);
    history.forget_living(100);
    EXPECT_FALSE(history.precedent(6000, 0, 9));
    history.learn(sibling);
    sibling.ended = true;
    history.learn(sibling);
    EXPECT_EQ(history.precedent(6000, 0, 9)->curves, 1U) << "not both of it";
}

TEST(History, the_median_of_lives_counts_and_the_highest_peak) {
    History history;
    history.learn(curve(1, 10'000, 10, 100));
    history.learn(curve(2, 10'000, 90, 110));
    history.learn(curve(3, 10'000, 20, 9000));
    const auto found = history.precedent(5000, 0, 9);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->later, 110);
    EXPECT_EQ(found->peak, 90);
    EXPECT_EQ(found->curves, 3U);
}

TEST(History, lives_of_the_same_release_are_asked_and_those_of_others_only_where_there_are_none) {
    const auto of_release = [](const char* release, std::uint64_t life, float trend) {
        AgeCurve made = curve(life, 10'000, 10, trend);
        made.release = release;
        return made;
    };
    History history;
    history.learn(of_release("43", 1, 4096));
    ASSERT_TRUE(history.precedent(5000, 0, 9, "44"));
    EXPECT_TRUE(history.precedent(5000, 0, 9, "44")->others);
    EXPECT_FALSE(history.precedent(5000, 0, 9, "43")->others);
    EXPECT_FALSE(history.precedent(5000, 0, 9, "")->others) << "which one it is nobody knows";
    history.learn(of_release("44", 2, 0));
    const auto found = history.precedent(5000, 0, 9, "44");
    EXPECT_FALSE(found->others);
    EXPECT_EQ(found->later, 0);
    EXPECT_EQ(found->curves, 1U);
}

TEST(History, it_is_bounded_and_a_life_told_again_takes_its_own_place) {
    History history;
    for (std::uint64_t life = 1; life <= 100; ++life) history.learn(curve(life, 1000, 1, 1));
    EXPECT_EQ(history.curves().size(), History::most);
    history.learn(curve(100, 9000, 5, 5));
    EXPECT_EQ(history.curves().size(), History::most);
    EXPECT_EQ(history.curves().back().marks.back().growth, 5);
}

TEST(Forecast, the_early_bound_comes_from_the_steepest_slope) {
    const auto found = forecast(1000, 0, {.slope = 10, .low = 5, .high = 20}, 2);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->requests, 100);
    EXPECT_EQ(found->requests_early, 50);
    EXPECT_EQ(found->requests_late, 200);
    EXPECT_EQ(found->seconds_early, 25);
}

TEST(Forecast, what_swings_above_the_trend_is_at_the_limit_sooner) {
    const auto found = forecast(1000, 400, {.slope = 10, .low = 5, .high = 20}, 2);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->requests, 60);
    EXPECT_EQ(found->requests_early, 30);
    EXPECT_EQ(found->requests_late, 200);
    EXPECT_EQ(forecast(300, 400, {.slope = 10, .low = 5, .high = 20}, 2)->requests_early, 0);
}

TEST(Forecast, without_growth_there_is_no_end_and_without_traffic_no_time) {
    const Line unsure{.slope = 1, .low = 0, .high = 1};
    EXPECT_FALSE(forecast(1000, 0, {.slope = 0, .low = -1, .high = 1}, 2));
    EXPECT_FALSE(forecast(1000, 0, unsure, 0)->seconds);
    EXPECT_TRUE(std::isinf(forecast(1000, 0, unsure, 0)->requests_late));
    EXPECT_EQ(forecast(-5, 0, unsure, 1)->requests, 0);
}

TEST(Forecast, growth_that_slows_down_comes_to_less) {
    EXPECT_NEAR(growth_ahead(1000, 10, 1, 1000), 10'000, 1e-6);
    EXPECT_NEAR(growth_ahead(1000, 10, 0, 1000), 10'000 * std::log(2), 1e-6);
    EXPECT_NEAR(growth_ahead(1000, 10, 0.5, 3000), 20'000, 1e-6);
}

} // namespace
} // namespace plimsoll::leak
