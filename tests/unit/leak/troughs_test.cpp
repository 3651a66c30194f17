#include "plimsoll/leak/troughs.hpp"

#include <cmath>

#include <gtest/gtest.h>

#include "unit/leak/units.hpp"

namespace plimsoll::leak {
namespace {

// 100 requests a second by day, 10 from 02:00 to 05:00.
double usual(double at) {
    const double of_day = std::fmod(at, DayLoad::day) / hour;
    return of_day >= 2 && of_day < 5 ? 10 : 100;
}

DayLoad days(double count, double (*rate)(double) = usual) {
    DayLoad load;
    for (double at = 0; at < count * DayLoad::day; at += 60) load.note(at, 60, rate(at));
    return load;
}

TEST(DayLoad, a_recycle_is_put_off_to_the_night_before_the_deadline) {
    const auto planned = days(2).plan(18 * hour, 15 * hour);
    ASSERT_TRUE(planned);
    EXPECT_NEAR(*planned, 8 * hour, 1);
}

TEST(DayLoad, in_the_trough_it_is_now) {
    const auto planned = days(2).plan(3 * hour, 20 * hour);
    ASSERT_TRUE(planned);
    EXPECT_EQ(*planned, 0);
}

TEST(DayLoad, of_two_nights_the_later_is_soon_enough) {
    DayLoad load = days(2, [](double at) {
        const double of_day = std::fmod(at, DayLoad::day) / hour;
        return (of_day >= 2 && of_day < 3) || (of_day >= 12 && of_day < 13) ? 10.0 : 100.0;
    });
    EXPECT_NEAR(*load.plan(1 * hour, 20 * hour), 11 * hour, 1);
    EXPECT_NEAR(*load.plan(1 * hour, 8 * hour), 1 * hour, 1);
}

TEST(DayLoad, a_deadline_before_the_night_leaves_no_trough) {
    EXPECT_FALSE(days(2).plan(8 * hour, 6 * hour));
    EXPECT_FALSE(days(2).plan(8 * hour, 0));
    EXPECT_FALSE(days(2).plan(8 * hour, -5));
}

TEST(DayLoad, traffic_that_is_the_same_all_day_has_no_trough) {
    EXPECT_FALSE(days(2, [](double) { return 50.0; }).plan(8 * hour, 20 * hour));
}

TEST(DayLoad, what_was_not_seen_yet_is_not_planned_with) {
    DayLoad load;
    for (double at = 8 * hour; at < 12 * hour; at += 60) load.note(at, 60, 100);
    EXPECT_FALSE(load.plan(12 * hour, 20 * hour));
}

TEST(DayLoad, is_read_as_it_was_written) {
    DayLoad again;
    again.learn(days(2).rates());
    EXPECT_NEAR(*again.plan(18 * hour, 15 * hour), 8 * hour, 1);
}

} // namespace
} // namespace plimsoll::leak
