#include "plimsoll/leak/growth_rows.hpp"

#include <gtest/gtest.h>

namespace plimsoll::leak {
namespace {

constexpr AttributionSettings all_count{.young = 0, .rare = 0};

// One worker's readings: 'r' at rest, 'b' busy. Each interval grows by its place, and asked for label 1 as often.
std::vector<Interval> life_of(std::string_view readings) {
    std::vector<Interval> life;
    for (std::size_t i = 0; i < readings.size(); ++i)
        life.push_back({.worker = 0,
                        .age = static_cast<double>(i),
                        .growth = static_cast<double>(i + 1),
                        .counts = {0, static_cast<double>(i + 1)},
                        .busy = readings[i] == 'b'});
    return life;
}

Rows rows_of_life(const std::vector<Interval>& intervals) {
    Life life;
    for (const Interval& each : intervals) life.push_back(&each);
    const Columns columns = columns_of(life, all_count);
    return rows_of(std::vector<Life>(1, life), columns);
}

TEST(GrowthRows, a_row_goes_from_one_reading_at_rest_to_the_next) {
    const Rows rows = rows_of_life(life_of("rbbrr"));
    ASSERT_EQ(rows.count(), 3U);
    EXPECT_EQ(rows.growth, (std::vector<double>{1, 2 + 3 + 4, 5}));
    EXPECT_EQ(rows.row(1)[0], 3);                                   // the background of three intervals
    EXPECT_EQ(rows.noisy, (std::vector<bool>{true, false, false})); // how busy it was when it began nobody knows
    EXPECT_EQ(rows.starts, (std::vector<bool>{true, false, false}));
}

TEST(GrowthRows, where_rest_is_far_intervals_stay_apart_and_are_noisy) {
    const Rows rows = rows_of_life(life_of("rbbbbbbbbbbr"));
    ASSERT_EQ(rows.count(), 5U); // rest, three that are too far from it, and the eight before it
    EXPECT_EQ(rows.growth[1], 2);
    EXPECT_TRUE(rows.noisy[1] && rows.noisy[3] && rows.noisy[4]);
    EXPECT_TRUE(rows.from_busy[4]);
}

} // namespace
} // namespace plimsoll::leak
