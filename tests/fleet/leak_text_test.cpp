#include "fleet/leak_text.hpp"

#include <gtest/gtest.h>

namespace plimsoll::fleet {
namespace {

LeakReport orders() {
    LeakReport leak;
    leak.what = "memory";
    leak.view = {.kind = "leaking", .bytes_per_request = 4000, .low = 3800, .high = 4200, .confidence = 0.975};
    leak.view.seconds_to_limit = 7800;
    leak.view.seconds_early = 7080;
    leak.workers = {"app-1"};
    return leak;
}

TEST(LeakText, numbers_are_told_as_one_would_say_them) {
    EXPECT_EQ(span_text(42.4), "42 s");
    EXPECT_EQ(span_text(117), "1 min 57 s");
    EXPECT_EQ(span_text(120), "2 min");
    EXPECT_EQ(span_text(659), "10 min");
    EXPECT_EQ(span_text(7800), "2 h 10 min");
    EXPECT_EQ(span_text(3600), "1 h");
    EXPECT_EQ(span_text(200'000), "2 d 7 h");
    EXPECT_EQ(span_text(std::numeric_limits<double>::infinity()), "over a year");
    EXPECT_EQ(slope_text(orders().view, "memory"), "3.9 KiB a request (3.7 to 4.1 KiB, 97 % sure)");
    EXPECT_EQ(amount_text(0.02, "descriptors"), "0.02 descriptors");
}

TEST(LeakText, what_is_counted_and_comes_seldom_goes_by_the_thousand) {
    const LeakView view{.kind = "leaking", .bytes_per_request = 0.02, .low = 0.019, .high = 0.021, .confidence = 0.9};
    EXPECT_EQ(slope_text(view, "descriptors"), "20 descriptors per 1,000 requests (19 to 21 descriptors, 90 % sure)");
}

TEST(LeakText, a_leak_whose_cause_is_unknown_is_told_by_its_worker) {
    EXPECT_EQ(verdict_text(orders(), "."), "app-1 leaks 3.9 KiB a request (3.7 to 4.1 KiB, 97 % sure); it reaches its "
                                           "limit in 2 h 10 min (not before 1 h 58 min)");
}

TEST(LeakText, the_verdict_has_route_line_keeper_forecast_and_recycles) {
    LeakReport leak = orders();
    leak.workers = {"app-1", "app-2"};
    leak.view.bytes_per_request = 1200;
    leak.routes = {{"GET /orders/{n}", 4000, 3800, 4200, 0.9, leak::Heaviest::yes}};
    leak.lines = {{"/srv/shop/app/orders.py", "remember", 41, 3990, "GET /orders/{n}"},
                  {"/srv/shop/app/orders.py", "", 7, 10}};
    leak.kept_by = "shop.orders._seen (dict, 40213 items)";
    leak.recycles = 3;
    EXPECT_EQ(
        verdict_text(leak, "/srv/shop"),
        "GET /orders/{n} leaks 3.9 KiB a request (3.7 to 4.1 KiB, 97 % sure), app/orders.py:41 in `remember`, kept "
        "by `shop.orders._seen` (dict); app-1 and app-2 grow by 1.2 KiB a request and the first of them reaches "
        "its limit in 2 h 10 min (not before 1 h 58 min); recycled 3 times");
}

TEST(LeakText, who_copies_shared_pages_is_not_said_to_grow_by_nothing) {
    LeakReport leak = orders();
    leak.view = {.kind = "unsharing", .bytes_per_request = 0, .confidence = 0.9};
    EXPECT_TRUE(verdict_text(leak, ".").starts_with("app-1 copies pages that were shared since the fork"))
        << verdict_text(leak, ".");
}

TEST(LeakText, a_leak_that_no_process_shows_now_is_told_with_what_would_end_its_story) {
    LeakReport leak = orders();
    leak.workers.clear();
    leak.view.seconds_to_limit.reset();
    leak.recycles = 1;
    leak.closed_after = 4200;
    EXPECT_EQ(
        verdict_text(leak, "."),
        "a process leaked 3.9 KiB a request (3.7 to 4.1 KiB, 97 % sure); recycled 1 time; no process shows it now, "
        "closed when one has served 4200 requests without it");
    leak.routes = {{"GET /orders/{n}", 4000, 3800, 4200, 0.9, leak::Heaviest::yes}};
    EXPECT_TRUE(verdict_text(leak, ".").starts_with(
        "GET /orders/{n} leaks 3.9 KiB a request (3.7 to 4.1 KiB, 97 % sure); recycled 1 time; no process"))
        << verdict_text(leak, ".");
}

TEST(LeakText, until_the_order_is_sure_a_group_is_named_and_the_bytes_of_its_first) {
    LeakReport leak = orders();
    leak.routes = {{"GET /orders/{n}", 4000, 3800, 4200, 0.5, leak::Heaviest::maybe},
                   {"GET /carts", 100, 90, 110, 0.1, leak::Heaviest::no},
                   {"GET /a + GET /b", 3000, 2500, 3900, 0.4, leak::Heaviest::maybe}};
    EXPECT_TRUE(verdict_text(leak, ".").starts_with(
        "one of GET /orders/{n}, GET /a + GET /b (order not sure yet) leaks most: GET /orders/{n} 3.9 KiB a request "
        "(3.7 to 4.1 KiB, 97 % sure); app-1 grows by"))
        << verdict_text(leak, ".");
    EXPECT_FALSE(order_is_sure(leak.routes));
    leak.routes.resize(1);
    EXPECT_EQ(routes_text(leak.routes), "GET /orders/{n} leaks 3.9 KiB a request (3.7 to 4.1 KiB)")
        << "one alone has no order";
    leak.routes.front().heaviest = leak::Heaviest::yes;
    EXPECT_EQ(routes_text(leak.routes), "GET /orders/{n} leaks 3.9 KiB a request (3.7 to 4.1 KiB)");
    EXPECT_FALSE(order_is_sure({}));
}

TEST(LeakText, a_path_is_told_as_far_as_it_tells_something) {
    EXPECT_EQ(first_line_text({{"/srv/shop/app/orders.py", "", 41, 1}}, "."), "app/orders.py:41");
    EXPECT_EQ(first_line_text({{"orders.py", "add", 41, 1}}, "/srv"), "orders.py:41 in `add`");
    EXPECT_EQ(first_line_text({}, "/srv"), "");
}

TEST(LeakText, a_keeper_is_told_with_its_type_and_without_its_size) {
    EXPECT_EQ(kept_text("class shop.Cart.all (list, 5 items)"), "`class shop.Cart.all` (list)");
    EXPECT_EQ(kept_text("function shop.f"), "`function shop.f`");
    EXPECT_EQ(kept_text("local rows of main (/srv/a.py:3) (list, 5 items)"),
              "`local rows of main (/srv/a.py:3)` (list)");
}

} // namespace
} // namespace plimsoll::fleet
