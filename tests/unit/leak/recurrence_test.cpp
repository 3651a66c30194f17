#include "plimsoll/leak/recurrence.hpp"

#include <gtest/gtest.h>

namespace plimsoll::leak {
namespace {

const Fingerprint orders{{"GET /orders/{n}"}, {"orders.py in remember"}, {"shop.Order"}};

TEST(Recurrence, one_common_line_is_enough_and_another_line_is_another_leak) {
    EXPECT_EQ(match(orders, {{"GET /carts"}, {"orders.py in remember", "a.py in b"}, {}}), Match::same);
    EXPECT_EQ(match(orders, {{"GET /orders/{n}"}, {"orders.py in forget"}, {"shop.Order"}}), Match::different);
}

TEST(Recurrence, routes_decide_where_a_line_is_not_known_and_types_where_routes_are_not) {
    EXPECT_EQ(match(orders, {{"GET /orders/{n}", "GET /a"}, {}, {}}), Match::same);
    EXPECT_EQ(match(orders, {{"GET /a"}, {}, {"shop.Order"}}), Match::different);
    EXPECT_EQ(match(orders, {{}, {}, {"shop.Order"}}), Match::same);
}

TEST(Recurrence, what_nobody_knows_is_not_guessed) {
    EXPECT_EQ(match(orders, {}), Match::unknown);
    EXPECT_EQ(match({{}, {"a.py in b"}, {}}, {{"GET /a"}, {}, {}}), Match::unknown);
}

TEST(Docket, the_latest_story_that_is_the_same_is_taken_up_again_once) {
    Docket docket;
    docket.close({"i-1", orders, "41", 2, 3000});
    docket.close({"i-2", {{"GET /a"}, {}, {}}, "41", 0, 100});
    docket.close({"i-3", orders, "42", 1, 500});
    PastLeak found;
    EXPECT_FALSE(docket.reopen({}, found));
    ASSERT_TRUE(docket.reopen({{"GET /orders/{n}"}, {}, {}}, found));
    EXPECT_EQ(found, (PastLeak{"i-3", orders, "42", 1, 500}));
    ASSERT_TRUE(docket.reopen(orders, found));
    EXPECT_EQ(found.incident, "i-1");
    EXPECT_FALSE(docket.reopen(orders, found));
    EXPECT_EQ(docket.all().size(), 1U);
}

TEST(Docket, is_bounded_and_forgets_the_oldest) {
    Docket docket;
    for (std::size_t i = 0; i < 2 * Docket::most; ++i) docket.close({"i-" + std::to_string(i), orders, {}, 0, 0});
    EXPECT_EQ(docket.all().size(), Docket::most);
    EXPECT_EQ(docket.all().back().incident, "i-" + std::to_string(2 * Docket::most - 1));
}

TEST(Recurrence, what_is_known_of_both_is_bounded_and_the_newer_stands_in_front) {
    Fingerprint many;
    for (int i = 0; i < 20; ++i) many.lines.push_back("f.py in f" + std::to_string(i));
    const Fingerprint both = merged(orders, many);
    EXPECT_EQ(both.lines.size(), Fingerprint::most);
    EXPECT_EQ(both.lines.front(), "orders.py in remember");
    EXPECT_EQ(merged(orders, orders), orders);
}

} // namespace
} // namespace plimsoll::leak
