#include "fleet/leak_routes.hpp"

#include <random>

#include <gtest/gtest.h>

namespace plimsoll::fleet {
namespace {

// Two workers of a shop whose orders leave 4 KiB behind; the mix of what is asked drifts, as real traffic does.
std::vector<leak::Interval> lives(std::size_t labels, std::size_t leaking, std::size_t intervals, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal;
    std::vector<leak::Interval> all;
    for (std::size_t i = 0; i < intervals; ++i) {
        leak::Interval each{.worker = static_cast<std::uint32_t>(1 + i % 2),
                            .age = 25.0 * static_cast<double>(i),
                            .growth = 0,
                            .counts = {}};
        for (std::size_t label = 0; label < labels; ++label)
            each.counts.push_back(label == 0 ? 0 : static_cast<double>(random() % (2000 / labels)));
        each.growth = each.counts[leaking] * 4096 + normal(random) * 50'000;
        all.push_back(std::move(each));
    }
    return all;
}

std::vector<std::string> names(std::size_t count) {
    std::vector<std::string> all{"other"};
    while (all.size() < count) all.push_back("GET /" + std::to_string(all.size()));
    return all;
}

std::vector<RouteShare> routes_of(const std::vector<leak::Interval>& intervals, const std::vector<std::string>& names) {
    return named(attribute(intervals), names);
}

TEST(LeakRoutes, the_route_that_grows_is_named_with_its_bytes) {
    const auto found = routes_of(lives(12, 7, 200, 1), names(12));
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].route, "GET /7");
    EXPECT_NEAR(found[0].bytes_per_request, 4096, 409);
    EXPECT_LE(found[0].low, found[0].bytes_per_request);
    EXPECT_GE(found[0].high, found[0].bytes_per_request);
}

TEST(LeakRoutes, among_two_hundred_labels_the_heavy_one_is_found_still) {
    auto intervals = lives(200, 150, 300, 2);
    for (auto& each : intervals) { // among 199 labels that are asked now and then
        const auto more =
            static_cast<double>(50 + each.age - 100 * static_cast<double>(static_cast<int>(each.age / 100)));
        each.counts[150] += more;
        each.growth += more * 4096;
    }
    const auto found = routes_of(intervals, names(200));
    ASSERT_FALSE(found.empty());
    EXPECT_EQ(found[0].route, "GET /150");
}

// A tenth more intervals are nearly the same ones: chance that put a route first puts it first again.
TEST(LeakRoutes, the_heaviest_is_sure_when_two_looks_agree_on_a_quarter_more_intervals) {
    const auto all = lives(12, 7, 300, 5);
    leak::RouteOrder order;
    const auto look = [&](std::size_t seen) {
        const auto found = attribute({all.begin(), all.begin() + static_cast<std::ptrdiff_t>(seen)});
        auto routes = named(found, names(12));
        rank(routes, order, found, seen);
        return routes.at(0);
    };
    EXPECT_EQ(look(160).heaviest, leak::Heaviest::maybe);
    EXPECT_EQ(look(176).heaviest, leak::Heaviest::maybe);
    EXPECT_EQ(look(240).heaviest, leak::Heaviest::yes);
    EXPECT_EQ(look(240).route, "GET /7");
}

// Both are asked as often and leave as much behind, at other times.
TEST(LeakRoutes, of_two_that_leak_alike_both_may_be_the_heaviest) {
    auto intervals = lives(12, 7, 60, 6);
    const auto drawn = intervals;
    for (std::size_t i = 0; i < intervals.size(); ++i) {
        intervals[i].counts[3] = drawn[(i + 29) % drawn.size()].counts[7];
        intervals[i].growth += intervals[i].counts[3] * 4096;
    }
    const auto found = attribute(intervals);
    auto routes = named(found, names(12));
    leak::RouteOrder order;
    rank(routes, order, found, intervals.size());
    ASSERT_EQ(routes.size(), 2U);
    for (const auto& each : routes) EXPECT_EQ(each.heaviest, leak::Heaviest::maybe) << each.route;
}

TEST(LeakRoutes, what_fills_holes_of_the_heap_is_growth_where_the_agent_sees_them) {
    Sample before, after;
    before.anon = after.anon = Bytes{100'000'000};
    before.malloc_free = Bytes{40'000'000};
    after.malloc_free = Bytes{39'000'000};
    EXPECT_EQ(*in_use_of(after) - *in_use_of(before), 1'000'000);
    after.malloc_free.reset(); // its heap is another allocator's, or this was not the time to look
    EXPECT_FALSE(in_use_of(after));
    after.malloc_free = Bytes{100'000'001}; // free and never touched: nobody knows how much of it is resident
    EXPECT_FALSE(in_use_of(after));
}

TEST(LeakRoutes, too_few_intervals_or_no_growth_accuse_nobody) {
    EXPECT_TRUE(routes_of(lives(5, 2, 10, 3), names(5)).empty());
    EXPECT_TRUE(routes_of({}, names(1)).empty());
    auto still = lives(5, 2, 200, 4);
    for (auto& each : still) each.growth = 0;
    EXPECT_TRUE(routes_of(still, names(5)).empty());
}

} // namespace
} // namespace plimsoll::fleet
