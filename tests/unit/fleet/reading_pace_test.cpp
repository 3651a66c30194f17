#include "plimsoll/fleet/reading_pace.hpp"

#include <gtest/gtest.h>

namespace plimsoll {
namespace {

using namespace std::chrono_literals;

Duration pause_of(double pressure, double growth, Duration took = 0s) {
    ReadingPace pace;
    pace.begin();
    pace.saw(pressure, growth);
    return pace.pause(took, 500ms);
}

TEST(ReadingPaceTest, a_worker_that_stands_or_shrinks_or_grows_slowly_is_read_at_the_interval) {
    EXPECT_EQ(pause_of(0.9, 0), 500ms);
    EXPECT_EQ(pause_of(0.5, 0.01), 500ms);
}

TEST(ReadingPaceTest, what_is_left_is_seen_in_64_readings) {
    const Duration pause = pause_of(0.36, 0.25); // full in 2.56 s
    EXPECT_GT(pause, 39ms);
    EXPECT_LT(pause, 41ms);
}

TEST(ReadingPaceTest, the_fastest_of_all_sets_the_pace) {
    ReadingPace pace;
    pace.begin();
    pace.saw(0.36, 0.25);
    pace.saw(0.5, 0.001);
    EXPECT_LT(pace.pause(0s, 500ms), 41ms);
    pace.begin();
    EXPECT_EQ(pace.pause(0s, 500ms), 500ms);
}

TEST(ReadingPaceTest, readings_take_no_more_than_half_a_percent_of_a_core) {
    EXPECT_EQ(pause_of(0.9, 10, 1ms), 200ms);
    EXPECT_EQ(pause_of(0.9, 10, 1s), 500ms) << "never later than the interval";
    EXPECT_EQ(pause_of(2, 10), ReadingPace::least) << "beyond its limit";
}

TEST(ReadingPaceTest, growth_is_measured_over_half_an_interval) {
    PressureGrowth growth;
    const Instant start{};
    EXPECT_EQ(growth.see(0.2, start, 500ms), 0);
    EXPECT_EQ(growth.see(0.4, start + 10ms, 500ms), 0) << "a request's moment";
    EXPECT_DOUBLE_EQ(growth.see(0.3, start + 250ms, 500ms), 0.4);
    EXPECT_DOUBLE_EQ(growth.see(0.3, start + 260ms, 500ms), 0.4);
    EXPECT_EQ(growth.see(0.25, start + 750ms, 500ms), 0);
}

} // namespace
} // namespace plimsoll
