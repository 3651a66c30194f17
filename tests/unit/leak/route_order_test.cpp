#include "plimsoll/leak/route_order.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace plimsoll::leak {
namespace {

using enum Heaviest;
using Ranks = std::vector<Heaviest>;

const RouteOrder::Route order_route{{"GET /order_route/{n}"}, 0.5, 0.6}, carts{{"GET /carts"}, 0.3, 0.4},
    near_order_route{{"GET /near"}, 0.35, 0.51};

// By all intervals that there ever were, but for those that a ring of 800 has let go.
RouteOrder::Look look(std::vector<RouteOrder::Route> routes, std::uint64_t seen) {
    return {.routes = std::move(routes), .first = 1, .intervals = std::min<std::uint64_t>(seen, 800), .seen = seen};
}

TEST(RouteOrder, one_look_names_a_group_of_all_that_reach_into_the_first_ones_interval) {
    RouteOrder order;
    EXPECT_EQ(order.look(look({order_route, near_order_route, carts}, 100)), (Ranks{maybe, maybe, no}));
    EXPECT_EQ(RouteOrder().look(look({order_route}, 100)), Ranks{maybe});
    EXPECT_EQ(RouteOrder().look({}), Ranks{});
}

TEST(RouteOrder, two_looks_that_agree_on_a_quarter_more_intervals_are_sure) {
    RouteOrder order;
    order.look(look({order_route, near_order_route}, 100));
    EXPECT_EQ(order.look(look({order_route, near_order_route}, 124)), (Ranks{maybe, maybe}))
        << "nearly the same data agree with themselves";
    EXPECT_EQ(order.look(look({order_route, near_order_route}, 125)), (Ranks{yes, no}));
}

TEST(RouteOrder, of_a_long_life_a_quarter_of_what_a_look_sees_is_enough) {
    RouteOrder order;
    order.look(look({order_route}, 100'000));
    EXPECT_EQ(order.look(look({order_route}, 100'000 + 200)), Ranks{yes});
}

TEST(RouteOrder, another_one_in_front_takes_the_answer_back) {
    RouteOrder order;
    order.look(look({order_route}, 100));
    order.look(look({order_route}, 200));
    EXPECT_EQ(order.look(look({carts, order_route}, 208)), (Ranks{maybe, maybe}));
    EXPECT_EQ(order.look(look({order_route, carts}, 216)), (Ranks{maybe, no})) << "it counts from the beginning";
    EXPECT_EQ(order.look(look({order_route, carts}, 300)), (Ranks{yes, no}));
}

TEST(RouteOrder, a_group_that_is_told_apart_is_still_the_same_route) {
    RouteOrder order;
    order.look(look({{{"GET /order_route/{n}", "GET /prices"}, 0.5, 0.6}}, 100));
    EXPECT_EQ(order.look(look({order_route}, 200)), Ranks{yes});
    EXPECT_EQ(order.look(look({{{"GET /prices"}, 0.5, 0.6}}, 300)), Ranks{maybe});
}

TEST(RouteOrder, a_lead_that_other_draws_do_not_show_does_not_count) {
    RouteOrder order;
    auto close = look({order_route}, 100);
    close.first = 0.94;
    order.look(close);
    EXPECT_EQ(order.look(look({order_route}, 200)), Ranks{maybe});
    close.seen = 300;
    order.look(close);
    EXPECT_EQ(order.look(look({order_route}, 400)), Ranks{maybe}) << "two in a row";
}

TEST(RouteOrder, nor_one_before_a_route_that_may_grow_by_more_and_is_not_known_well_enough_to_be_named) {
    RouteOrder order;
    auto hidden = look({order_route}, 100);
    hidden.unnamed = 0.55;
    order.look(hidden);
    hidden.seen = 200;
    EXPECT_EQ(order.look(hidden), Ranks{maybe});
    hidden.unnamed = 0.45; // less than the first at its least
    hidden.seen = 300;
    order.look(hidden);
    hidden.seen = 400;
    EXPECT_EQ(order.look(hidden), Ranks{yes});
}

TEST(RouteOrder, who_was_sure_stays_so_through_a_look_that_is_not_as_clear_or_names_nobody) {
    RouteOrder order;
    order.look(look({order_route}, 100));
    order.look(look({order_route}, 200));
    auto close = look({order_route, near_order_route}, 208);
    close.first = 0.8;
    EXPECT_EQ(order.look(close), (Ranks{yes, no}));
    order.look({});
    EXPECT_EQ(order.look(look({order_route}, 216)), Ranks{yes});
}

} // namespace
} // namespace plimsoll::leak
