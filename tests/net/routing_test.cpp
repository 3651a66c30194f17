#include "net/routing.hpp"

#include <gtest/gtest.h>

namespace plimsoll::net {
namespace {

config::Route route(const std::string& path, const std::string& label, const std::string& host = "",
                    std::vector<std::string> methods = {}) {
    config::Route route;
    route.path = path;
    route.label = label;
    route.host = host;
    route.methods = std::move(methods);
    route.pool = "app";
    return route;
}

struct Case {
    std::string host, path, method, label; // an empty label: no route
};

void check(std::vector<config::Route> routes, const std::vector<Case>& cases) {
    config::Config config;
    config.routes = std::move(routes);
    Registry registry(1);
    Limits limits;
    const Snapshot snapshot(config, {}, registry, limits, {}, nullptr, 1);
    for (const auto& each : cases) {
        const auto* found = snapshot.find({each.host, each.path, each.method});
        EXPECT_EQ(found ? found->label : "", each.label) << each.method << " " << each.host << each.path;
    }
}

TEST(Routing, the_first_match_wins) {
    check({route("/api", "first"), route("/api/users", "never"), route("/", "rest")},
          {{"a", "/api/users", "GET", "first"}, {"a", "/x", "GET", "rest"}});
}

TEST(Routing, a_prefix_is_plain_text_and_a_slash_keeps_it_to_the_segment) {
    check({route("/api/", "segment"), route("/api", "text")}, {{"a", "/api/x", "GET", "segment"},
                                                               {"a", "/api", "GET", "text"},
                                                               {"a", "/apiary", "GET", "text"},
                                                               {"a", "/ap", "GET", ""}});
}

TEST(Routing, an_exact_path_matches_nothing_longer) {
    check({route("=/login", "login")},
          {{"a", "/login", "GET", "login"}, {"a", "/login/", "GET", ""}, {"a", "/", "GET", ""}});
}

TEST(Routing, a_regular_expression_is_searched_for) {
    check({route("~^/v[0-9]+/items$", "items"), route("~\\.png$", "images")},
          {{"a", "/v12/items", "GET", "items"}, {"a", "/v/items", "GET", ""}, {"a", "/x/y.png", "GET", "images"}});
}

TEST(Routing, no_path_makes_an_expression_explode) {
    check({route("~^(a+)+$", "greedy")},
          {{"a", std::string(8192, 'a') + "b", "GET", ""}, {"a", std::string(8192, 'a'), "GET", "greedy"}});
}

TEST(Routing, hosts_are_compared_without_case_and_a_wildcard_means_below) {
    check({route("/", "exact", "Example.org"), route("/", "below", "*.example.org")},
          {{"EXAMPLE.org", "/", "GET", "exact"},
           {"a.b.Example.ORG", "/", "GET", "below"},
           {"badexample.org", "/", "GET", ""},
           {".example.org", "/", "GET", ""},
           {"", "/", "GET", ""}});
}

TEST(Routing, methods_are_exact) {
    check({route("/", "read", "", {"GET", "HEAD"}), route("/", "write", "", {"POST"})},
          {{"a", "/", "HEAD", "read"}, {"a", "/", "POST", "write"}, {"a", "/", "get", ""}, {"a", "/", "PUT", ""}});
}

TEST(Routing, labels_share_their_series_over_snapshots_and_are_bounded) {
    Registry registry(1);
    auto& first = registry.series("app", "/a");
    first.slots[0].record(200, std::chrono::milliseconds{3}, 10, 20);
    EXPECT_EQ(&registry.series("app", "/a"), &first);
    for (std::size_t i = 0; i < Registry::max_series + 10; ++i) registry.series("app", "label" + std::to_string(i));
    EXPECT_EQ(registry.series("app", "one more").route, "other");
    ServerStats stats;
    registry.add_to(stats);
    EXPECT_LE(stats.routes.size(), Registry::max_series + 1);
    EXPECT_EQ(stats.routes.at(0).seconds.counts[2], 1u); // 3 ms lie between 2.5 and 5 ms
}

} // namespace
} // namespace plimsoll::net
