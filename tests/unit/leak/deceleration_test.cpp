#include "plimsoll/leak/deceleration.hpp"

#include <cmath>
#include <functional>
#include <vector>

#include <gtest/gtest.h>

#include "unit/leak/units.hpp"

namespace plimsoll::leak {
namespace {

// The last two thirds of a life, as the detector looks at it.
std::vector<Point> window(double age, const std::function<double(double)>& kept) {
    std::vector<Point> points;
    for (double x = age / 3; x <= age; x += age / 60) points.push_back({x, kept(x)});
    return points;
}

double warm_up(double n) { return 100 * mib * (1 - std::exp(-n / 600)); }
double leak(double n) { return 4096 * n; }

TEST(Deceleration, the_exponent_of_a_power_is_its_own) {
    for (const double p : {0.3, 0.6, 1.0, 1.4})
        EXPECT_NEAR(exponent_of(window(5000, [p](double n) { return std::pow(n, p); }), 1), p, 0.05);
}

TEST(Deceleration, a_leak_is_seen_below_a_warm_up_that_is_not_quite_over) {
    const auto both = [](double n) { return warm_up(n) + leak(n); };
    EXPECT_FALSE(settles(window(1500, both))) << "the warm-up is most of it";
    EXPECT_TRUE(settles(window(4500, both)));
    EXPECT_LT(exponent_of(window(4500, both), 4096), 0.6) << "which by itself would call it a cache";
}

TEST(Deceleration, what_only_fades_never_settles) {
    for (double age = 500; age < 50'000; age *= 1.1) {
        EXPECT_FALSE(settles(window(age, warm_up))) << age;
        EXPECT_FALSE(settles(window(age, [](double n) { return 30 * mib * std::log1p(n / 500); }))) << age;
        EXPECT_FALSE(settles(window(age, [](double n) { return 1e5 * std::pow(n, 0.6); }))) << age;
    }
}

TEST(Deceleration, too_few_points_or_no_growth_say_nothing) {
    EXPECT_FALSE(settles({}));
    EXPECT_FALSE(settles(window(5000, [](double) { return 7; })));
    const auto few = window(5000, leak);
    EXPECT_FALSE(settles(std::span(few).first(11)));
    EXPECT_EQ(exponent_of(window(5000, [](double) { return 7; }), 0), 1);
}

} // namespace
} // namespace plimsoll::leak
