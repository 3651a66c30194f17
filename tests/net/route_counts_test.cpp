#include "net/route_counts.hpp"

#include <gtest/gtest.h>

namespace plimsoll::net {
namespace {

std::uint64_t asked(const RouteCounts& counts, WorkerKey worker, const std::string& label) {
    const auto names = counts.names();
    const auto row = counts.of(worker);
    for (std::size_t i = 0; i < row.requests.size(); ++i)
        if (names[i] == label) return row.requests[i];
    return 0;
}

TEST(RouteCounts, requests_are_counted_by_worker_and_by_the_applications_name_or_a_learned_one) {
    RouteCounts counts;
    counts.watch(1);
    counts.watch(2);
    counts.count(1, "GET", "/orders/12?x=1", {});
    counts.count(1, "GET", "/orders/13", {});
    counts.count(1, "POST", "/orders/13", {});
    counts.count(2, "GET", "http://shop.example/orders/14", {});
    counts.count(2, "GET", "/o/abc", "/o/<slug>");
    counts.count(2, "GET", "/o/abc", "PUT /o/{slug}");
    EXPECT_EQ(asked(counts, 1, "GET /orders/{n}"), 2U);
    EXPECT_EQ(asked(counts, 1, "POST /orders/{n}"), 1U);
    EXPECT_EQ(asked(counts, 2, "GET /orders/{n}"), 1U);
    EXPECT_EQ(asked(counts, 2, "GET /o/<slug>"), 1U);
    EXPECT_EQ(asked(counts, 2, "PUT /o/{slug}"), 1U);
    counts.forget(2);
    EXPECT_TRUE(counts.of(2).requests.empty());
}

TEST(RouteCounts, a_label_that_takes_anothers_place_inherits_nothing_of_it_and_nothing_is_lost) {
    RouteCounts counts(3); // "other" and two more
    counts.watch(1);
    counts.watch(2);
    counts.count(1, "GET", "/a", {});
    counts.count(1, "GET", "/b", {});
    counts.count(2, "GET", "/b", {});
    const auto before = counts.of(1).serials;
    std::uint64_t all = 2;
    while (asked(counts, 1, "GET /heavy") == 0 && all < 100) {
        counts.count(1, "GET", "/heavy", {});
        ++all;
    }
    ASSERT_LT(all, 100U);
    EXPECT_EQ(asked(counts, 1, "GET /heavy"), 1U);
    const auto row = counts.of(1);
    std::uint64_t sum = 0;
    for (const auto each : row.requests) sum += each;
    EXPECT_EQ(sum, all);
    EXPECT_NE(row.serials, before);
}

TEST(RouteCounts, a_request_that_ends_after_its_worker_was_forgotten_leaves_nothing_behind) {
    RouteCounts counts;
    EXPECT_FALSE(counts.on());
    counts.watch(1);
    EXPECT_TRUE(counts.on());
    counts.forget(1);
    counts.count(1, "GET", "/late", {});
    EXPECT_TRUE(counts.of(1).requests.empty());
    EXPECT_EQ(counts.names().size(), 1U); // "other": it took nobody's place either
}

} // namespace
} // namespace plimsoll::net
