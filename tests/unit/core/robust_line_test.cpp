#include "plimsoll/core/robust_line.hpp"

#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace plimsoll {
namespace {

std::vector<Point> points_on(double slope, double start, std::size_t count) {
    std::vector<Point> points;
    for (std::size_t i = 0; i < count; ++i)
        points.push_back({static_cast<double>(i), start + slope * static_cast<double>(i)});
    return points;
}

TEST(TheilSen, a_straight_line_is_found_exactly) {
    const auto line = theil_sen(points_on(3, 7, 20));
    ASSERT_TRUE(line);
    EXPECT_DOUBLE_EQ(line->slope, 3);
    EXPECT_DOUBLE_EQ(line->at_zero, 7);
    EXPECT_DOUBLE_EQ(line->at(100), 307);
}

TEST(TheilSen, a_quarter_of_wild_points_does_not_move_it) {
    auto points = points_on(3, 7, 40);
    for (std::size_t i = 0; i < points.size(); i += 4) points[i].y = 1e9;
    const auto line = theil_sen(points);
    ASSERT_TRUE(line);
    EXPECT_NEAR(line->slope, 3, 0.01);
}

TEST(TheilSen, its_interval_holds_the_truth_as_often_as_it_says) {
    std::mt19937_64 random(5);
    std::normal_distribution<double> noise(0, 10);
    unsigned held = 0;
    for (int run = 0; run < 400; ++run) {
        auto points = points_on(2, 0, 30);
        for (Point& point : points) point.y += noise(random);
        const auto line = theil_sen(points, 1.96);
        held += line && line->low <= 2 && line->high >= 2 ? 1 : 0;
    }
    EXPECT_GE(held, 365U);
    EXPECT_LE(held, 397U); // and it is not merely wide
}

TEST(TheilSen, too_few_points_make_no_line) {
    EXPECT_FALSE(theil_sen({}));
    EXPECT_FALSE(theil_sen(points_on(1, 0, 2)));
    const std::vector<Point> at_once(10, Point{1, 1});
    EXPECT_FALSE(theil_sen(at_once));
}

} // namespace
} // namespace plimsoll
