#include "fleet/leak_pairs.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "fleet/leak_evidence.hpp"
#include "fleet/leak_text.hpp"

namespace plimsoll::fleet::of_pairs {
namespace {

constexpr double kib = 1024, mib = 1024 * kib;

RouteShare route(const std::string& name, double bytes) {
    return {name, bytes, 0.97 * bytes, 1.03 * bytes, 0.5, leak::Heaviest::yes};
}

// A window of 200 requests.
boost::json::object window(const char* asked, const boost::json::array& lines) {
    return {{"asked", {{"requests", 200}, {"routes", boost::json::parse(asked)}}}, {"lines", lines}};
}

boost::json::object line(const char* file, double bytes) {
    return {{"file", file}, {"line", 41}, {"function", "add"}, {"bytes_per_request", bytes}, {"claimed", true}};
}

std::vector<std::string> paired(const std::vector<RouteShare>& routes, const boost::json::object& details) {
    std::vector<LeakLine> lines = claimed_lines(details);
    pair(lines, routes, details);
    std::vector<std::string> found;
    for (const LeakLine& each : lines) found.push_back(each.route);
    return found;
}

const RouteShare a = route("GET /a", 4 * kib), report = route("GET /report", 2 * mib),
                 orders = route("GET /orders", kib);

TEST(LeakPairs, a_line_is_the_routes_whose_asks_it_agrees_with) {
    const auto details =
        window(R"({"GET /report": 1, "GET /orders": 100})", {line("report.py", 2 * mib / 200), line("o.py", 512)});
    EXPECT_EQ(paired({report, orders}, details), (std::vector<std::string>{"GET /report", "GET /orders"}));
    EXPECT_TRUE(lines_explain({report, orders}, details));
}

TEST(LeakPairs, the_line_of_what_was_asked_is_not_that_of_a_heavier_route_which_was_not) {
    const auto details = window(R"({"GET /orders": 100})", {line("orders.py", 512)});
    EXPECT_EQ(paired({report, orders}, details), std::vector<std::string>{"GET /orders"});
    EXPECT_FALSE(lines_explain({report, orders}, details)) << "its own line is still to be found";
    EXPECT_EQ(paired({report}, details), std::vector<std::string>{""});
}

// 60 asks of 4 KiB and 14 of 16 KiB leave nearly the same.
TEST(LeakPairs, a_line_that_agrees_with_two_routes_is_nobodys) {
    const auto details = window(R"({"GET /a": 60, "GET /b": 14})",
                                {line("a.py", 60 * 4 * kib / 200), line("b.py", 14 * 16 * kib / 200)});
    EXPECT_EQ(paired({a, route("GET /b", 16 * kib)}, details), (std::vector<std::string>{"", ""}));
    EXPECT_TRUE(lines_explain({a, route("GET /b", 16 * kib)}, details)) << "together they are all that leaks";
    EXPECT_EQ(paired({a}, details), (std::vector<std::string>{"", ""})) << "one of them is another route's";
}

TEST(LeakPairs, one_line_of_two_does_not_explain_what_both_routes_leak) {
    const auto details = window(R"({"GET /a": 60, "GET /b": 14})", {line("b.py", 14 * 16 * kib / 200)});
    EXPECT_FALSE(lines_explain({a, route("GET /b", 16 * kib)}, details));
}

TEST(LeakPairs, a_route_keeps_its_bytes_on_several_lines) {
    const auto details = window(R"({"GET /a": 60})", {line("a.py", 700), line("log.py", 500)});
    EXPECT_EQ(paired({a}, details), (std::vector<std::string>{"GET /a", "GET /a"}));
}

TEST(LeakPairs, labels_that_come_together_are_one_route_and_what_all_leak_was_asked_by_all) {
    EXPECT_EQ(
        paired({route("GET /a + GET /b", 4 * kib)}, window(R"({"GET /a": 50, "GET /b": 49})", {line("a.py", kib)})),
        std::vector<std::string>{"GET /a + GET /b"});
    EXPECT_EQ(paired({route("every route", kib)}, window("{}", {line("a.py", kib)})),
              std::vector<std::string>{"every route"});
}

TEST(LeakPairs, of_a_window_whose_requests_are_not_known_only_a_single_route_has_lines) {
    const boost::json::object details{{"lines", boost::json::array{line("a.py", kib)}}};
    EXPECT_EQ(paired({a}, details), std::vector<std::string>{"GET /a"});
    EXPECT_EQ(paired({a, orders}, details), std::vector<std::string>{""});
    EXPECT_TRUE(lines_explain({a, orders}, details));
    EXPECT_FALSE(lines_explain({a}, {}));
}

TEST(LeakPairs, only_what_was_asked_since_the_window_began_counts) {
    EXPECT_EQ(boost::json::serialize(asked_in({"other", "GET /a", "GET /b"}, {7, 100}, {7, 150, 3}, 53)),
              R"({"requests":5.3E1,"routes":{"GET /a":50,"GET /b":3}})");
}

TEST(LeakPairs, a_sentence_joins_a_route_with_no_line_of_another_leak) {
    LeakReport leak;
    leak.what = "memory";
    leak.view = {.kind = "leaking", .bytes_per_request = 4700, .low = 4000, .high = 5000, .confidence = 0.975};
    leak.workers = {"app-1"};
    leak.routes = {report, orders};
    leak.lines = {{"/srv/app/orders.py", "add", 41, 512, "GET /orders"}};
    leak.kept_by = "shop.seen (dict, 7 items)";
    const std::string head = "GET /report leaks 2.0 MiB a request (1.9 to 2.1 MiB, 97 % sure)",
                      grows = "; app-1 grows by 4.6 KiB a request";
    EXPECT_EQ(verdict_text(leak, "/srv"), head + grows +
                                              "; GET /orders leaks 1.0 KiB a request, app/orders.py:41 in "
                                              "`add`, kept by `shop.seen` (dict)");
    leak.lines[0].route.clear();
    EXPECT_EQ(verdict_text(leak, "/srv"),
              head + grows +
                  "; app/orders.py:41 in `add` keeps 512 B a request to the worker, and whose "
                  "it is is not known, kept by `shop.seen` (dict)");
    leak.lines.push_back({"/srv/app/report.py", "", 7, 300, "GET /report"});
    EXPECT_EQ(verdict_text(leak, "/srv"), head + ", app/report.py:7, kept by `shop.seen` (dict)" + grows);
}

} // namespace
} // namespace plimsoll::fleet::of_pairs
