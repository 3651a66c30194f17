// [[route.limit]] at the door: who is counted together, what a refused client is told, and what a reload keeps.
#include <set>

#include <gtest/gtest.h>

#include "net/limits.hpp"
#include "proxy.hpp"

namespace plimsoll::net::testing {
namespace {

config::Limit per_hour(std::vector<std::string> key, unsigned burst = 0) {
    config::Limit limit;
    limit.key = std::move(key);
    limit.rate = "1/h"; // what is used up stays so for the length of any test
    limit.burst = burst;
    return limit;
}

struct LimitsTest : ::testing::Test {
    Origin origin{echo};
    Proxy proxy;
    std::vector<config::Limit>& limits = proxy.config.routes[0].limits;

    void start() {
        proxy.add_worker(origin.address());
        proxy.start();
    }
    Message ask(const std::string& path = "/", const std::string& more = "") {
        auto client = proxy.client();
        client.send(get(path, more));
        return client.read_response();
    }
    int status(const std::string& path = "/", const std::string& more = "") { return ask(path, more).status(); }
    LimitStats stats(std::size_t index = 0) { return proxy.server().stats().limits.at(index); }
};

TEST_F(LimitsTest, a_client_beyond_its_rate_gets_429_and_is_told_when_to_come_again) {
    limits = {per_hour({"client"}, 1)};
    start();
    const auto first = ask();
    EXPECT_EQ(first.status(), 200);
    EXPECT_EQ(first.field("ratelimit-policy"), "\"client\";q=2;w=7200");
    EXPECT_EQ(first.field("ratelimit"), "\"client\";r=1;t=3600");
    EXPECT_EQ(status(), 200);
    const auto third = ask("/", "Accept: application/json\r\n");
    EXPECT_EQ(third.status(), 429);
    EXPECT_EQ(third.field("x-plimsoll-reason"), "rate");
    EXPECT_EQ(third.field("content-type"), "application/problem+json");
    EXPECT_NE(third.body.find("\"reason\":\"rate\""), std::string::npos);
    EXPECT_EQ(third.field("ratelimit"), "\"client\";r=0;t=7200");
    const auto wait = std::stoi(third.field("retry-after"));
    EXPECT_GT(wait, 3500);
    EXPECT_LE(wait, 3600);
    EXPECT_TRUE(eventually([&] { return proxy.refused("rate") == 1; }));
    EXPECT_EQ(stats().passed, 2U);
    EXPECT_EQ(stats().refused, 1U);
}

TEST_F(LimitsTest, who_shares_a_count_with_others_is_told_to_come_at_another_time_than_they) {
    limits = {per_hour({"path"}), per_hour({"client", "path"})};
    start();
    const auto told = [this](const std::string& path) {
        EXPECT_EQ(status(path), 200);
        std::set<int> waits;
        for (int i = 0; i < 8; ++i) waits.insert(std::stoi(ask(path).field("retry-after")));
        return waits;
    };
    const auto spread = told("/shared");
    EXPECT_GE(spread.size(), 4U) << "1,800 seconds to choose from";
    EXPECT_GT(*spread.begin(), 3500) << "nobody comes too early";
    EXPECT_LE(*spread.rbegin(), 5400);

    limits.erase(limits.begin());
    proxy.server().apply(proxy.config, {{"app", proxy.pool}});
    const auto exact = told("/own");
    EXPECT_GT(*exact.begin(), 3500);
    EXPECT_LE(*exact.rbegin(), 3600);
}

TEST_F(LimitsTest, a_refused_request_leaves_the_connection_open) {
    limits = {per_hour({"client"})};
    start();
    auto client = proxy.client();
    client.send(get());
    EXPECT_EQ(client.read_response().status(), 200);
    for (int i = 0; i < 3; ++i) {
        client.send(post("/", "a body that is here already"));
        EXPECT_EQ(client.read_response().status(), 429);
    }
}

TEST_F(LimitsTest, only_a_trusted_proxy_may_say_who_the_client_is) {
    limits = {per_hour({"client"})};
    start();
    EXPECT_EQ(status("/", "X-Forwarded-For: 192.0.2.1\r\n"), 200);
    EXPECT_EQ(status("/", "X-Forwarded-For: 192.0.2.2\r\n"), 429) << "a stranger's claim is no way around";
}

TEST_F(LimitsTest, clients_behind_a_trusted_proxy_count_apart_and_ipv6_by_network) {
    limits = {per_hour({"client"})};
    proxy.config.proxy.trusted_proxies = {"127.0.0.0/8"};
    start();
    const auto from = [this](const std::string& client) { return status("/", "X-Forwarded-For: " + client + "\r\n"); };
    EXPECT_EQ(from("192.0.2.1"), 200);
    EXPECT_EQ(from("192.0.2.2"), 200);
    EXPECT_EQ(from("192.0.2.1"), 429);
    EXPECT_EQ(from("2001:db8:0:1::1"), 200);
    EXPECT_EQ(from("2001:db8:0:1:ffff::2"), 429) << "a home has a /64 to choose addresses from";
    EXPECT_EQ(from("2001:db8:0:2::1"), 200);
}

TEST_F(LimitsTest, a_key_may_be_a_field_a_cookie_a_query_parameter_or_the_path) {
    limits = {per_hour({"header:X-Key"})};
    start();
    EXPECT_EQ(status("/", "X-Key: a\r\n"), 200);
    EXPECT_EQ(status("/", "X-Key: b\r\n"), 200);
    EXPECT_EQ(status("/", "X-Key: a\r\n"), 429);
    EXPECT_EQ(status(), 200);
    EXPECT_EQ(status(), 429) << "leaving the field out is no way around";
    EXPECT_EQ(status("/", "X-Key: c\r\nx-key: a\r\n"), 429) << "who names two has none of his own";
    EXPECT_EQ(status("/", "X-Key: c\r\n"), 200);

    limits = {per_hour({"cookie:sid"})};
    proxy.server().apply(proxy.config, {{"app", proxy.pool}});
    EXPECT_EQ(status("/", "Cookie: other=1; sid=a\r\n"), 200);
    EXPECT_EQ(status("/", "Cookie: sid=a; more=2\r\n"), 429);
    EXPECT_EQ(status("/", "Cookie: sid=b\r\n"), 200);
    EXPECT_EQ(status("/", "Cookie: sid=c; sid=x\r\n"), 200);
    EXPECT_EQ(status("/", "Cookie: sid=d\r\nCookie: sid=x\r\n"), 429) << "who names two has none of his own";

    limits = {per_hour({"query:user"})};
    proxy.server().apply(proxy.config, {{"app", proxy.pool}});
    EXPECT_EQ(status("/?user=1"), 200);
    EXPECT_EQ(status("/?x=2&user=%31"), 429) << "written in another way, but the same to the application";
    EXPECT_EQ(status("/?user=2"), 200);
    EXPECT_EQ(status("/?user=3&user=x"), 200);
    EXPECT_EQ(status("/?user=4&us%65r=x"), 429) << "who names two has none of his own";
    EXPECT_EQ(status("/?user=a+b"), 200);
    EXPECT_EQ(status("/?user=a%20b"), 429) << "both are a space to who reads a form";
    EXPECT_EQ(status("/?user=a%2bb"), 200) << "this is a plus";

    limits = {per_hour({"cookie:plus"})};
    proxy.server().apply(proxy.config, {{"app", proxy.pool}});
    EXPECT_EQ(status("/", "Cookie: plus=a+b\r\n"), 200);
    EXPECT_EQ(status("/", "Cookie: plus=a b\r\n"), 200) << "a plus is a plus in a cookie";

    limits = {per_hour({"client", "path"})};
    proxy.server().apply(proxy.config, {{"app", proxy.pool}});
    EXPECT_EQ(status("/a"), 200);
    EXPECT_EQ(status("/b"), 200);
    EXPECT_EQ(status("/b/../a"), 429);
}

// What Django, Starlette, werkzeug and http.cookies read as sid=a.
TEST_F(LimitsTest, a_session_is_counted_once_however_its_cookie_is_written) {
    limits = {per_hour({"cookie:sid"})};
    start();
    EXPECT_EQ(status(), 200);
    const auto with = [this](const std::string& cookies) { return status("/", "Cookie: " + cookies + "\r\n"); };
    EXPECT_EQ(with("sid=a"), 200);
    for (const auto* same : {"sid=a   ; x=1", "sid =a", "x=1; sid\t=\ta\t", "sid=\"a\"", "sid=\"\\141\"", "sid=\"\\a\"",
                             "\xa0sid\x85=a\xc2\xa0; x=1", "x=1 sid=a"})
        EXPECT_EQ(with(same), 429) << same;
    // One who names several has none of his own, whichever his application takes.
    for (const auto* several :
         {"sid=b; sid =a", "sid=b; \xa0sid=a", "sid=b sid=a", "sid=b; x=1\tsid=a", "sid=\"b\" x=\"1\"", "sid=b x=1"})
        EXPECT_EQ(with(several), 429) << several;
    EXPECT_EQ(with("sid=b; xsid=a; sidx=a; x=sid; x=?sid=a"), 200) << "these are others";
    EXPECT_EQ(with("sid=\"c d\""), 200) << "a blank in quotes is a part of it";
    EXPECT_EQ(with("sid=\"c e\""), 200);
}

TEST_F(LimitsTest, a_key_by_label_counts_requests_of_one_kind_together_under_the_name_that_the_application_gives_them) {
    limits = {per_hour({"label"})};
    start();
    EXPECT_EQ(status("/users/1"), 200);
    EXPECT_EQ(status("/users/2"), 429) << "their template is one";
    EXPECT_EQ(status("/orders/1"), 200);

    Origin names([](Peer& peer) {
        while (peer.read_request().complete)
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Plimsoll-Route: GET /people/{name}\r\n\r\n");
    });
    Proxy other;
    other.config.routes[0].limits = {per_hour({"label"}, 1)};
    other.add_worker(names.address());
    other.start();
    const auto ask_other = [&other](const std::string& path) {
        auto client = other.client();
        client.send(get(path));
        return client.read_response().status();
    };
    EXPECT_EQ(ask_other("/people/ann"), 200) << "not known yet: by its template";
    int asked = 0; // one may come before what the last answer told is known
    EXPECT_TRUE(eventually([&] { return ask_other("/people/of-name-" + std::to_string(++asked)) == 429; }));
    EXPECT_GE(asked, 3) << "a burst of one";
    EXPECT_LE(asked, 5) << "names that nobody has asked for before";
}

TEST_F(LimitsTest, what_is_in_force_is_told_with_its_terms_and_what_is_not_any_more_without) {
    limits = {per_hour({"client"}, 3), per_hour({"path"})};
    limits[1].mode = config::Mode::off;
    start();
    ASSERT_EQ(proxy.server().stats().limits.size(), 1U);
    ASSERT_TRUE(stats().terms);
    EXPECT_EQ(*stats().terms, limits[0]);
    limits[0].burst = 7;
    proxy.server().apply(proxy.config, {{"app", proxy.pool}});
    EXPECT_EQ(stats().terms.value().burst, 7U);
    limits.clear();
    proxy.server().apply(proxy.config, {{"app", proxy.pool}});
    EXPECT_FALSE(stats().terms);
}

TEST_F(LimitsTest, every_limit_of_a_route_counts_and_what_one_refuses_costs_nothing_at_the_others) {
    limits = {per_hour({"client"}, 2), per_hour({"query:user"})};
    start();
    EXPECT_EQ(status("/?user=1"), 200);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(status("/?user=1"), 429);
    EXPECT_EQ(status("/?user=2"), 200);
    EXPECT_EQ(status("/?user=3"), 200);
    EXPECT_EQ(status("/?user=4"), 429) << "now it is the client's own";
    const auto answer = ask("/?user=5");
    EXPECT_EQ(answer.field("ratelimit-policy"), "\"client\";q=3;w=10800");
}

TEST_F(LimitsTest, what_is_given_back_since_a_later_limit_refuses_is_told_as_there) {
    limits = {per_hour({"client"}, 4), per_hour({"query:user"})};
    start();
    EXPECT_EQ(ask("/?user=1").field("ratelimit"), "\"client\";r=4;t=3600, \"query:user\";r=0;t=3600");
    const auto refused = ask("/?user=1");
    EXPECT_EQ(refused.status(), 429);
    EXPECT_EQ(refused.field("ratelimit"), "\"client\";r=4;t=3600, \"query:user\";r=0;t=3600");
}

TEST_F(LimitsTest, two_limits_of_one_key_are_told_apart) {
    limits = {per_hour({"client"}, 2), per_hour({"client"})};
    limits[0].rate = "1/m";
    start();
    EXPECT_EQ(ask().field("ratelimit-policy"), "\"client\";q=3;w=180, \"client#2\";q=1;w=3600");
    const auto refused = ask();
    EXPECT_EQ(refused.status(), 429);
    EXPECT_TRUE(refused.field("ratelimit").find("\"client#2\";r=0;") != std::string::npos)
        << refused.field("ratelimit");
    EXPECT_EQ(stats(0).limit, "client");
    EXPECT_EQ(stats(0).refused, 0U);
    EXPECT_EQ(stats(1).limit, "client#2");
    EXPECT_EQ(stats(1).refused, 1U);
}

TEST_F(LimitsTest, limits_of_one_name_share_their_counts_and_a_route_may_cost_more) {
    limits = {per_hour({"client"}, 4)};
    limits[0].name = "api";
    auto expensive = proxy.config.routes[0];
    expensive.path = "/report";
    expensive.limits[0].cost = 3;
    proxy.config.routes.insert(proxy.config.routes.begin(), expensive);
    start();
    EXPECT_EQ(status("/report"), 200);
    EXPECT_EQ(status("/report"), 429);
    EXPECT_EQ(status("/"), 200);
    EXPECT_EQ(status("/"), 200);
    EXPECT_EQ(status("/"), 429);
}

TEST_F(LimitsTest, shadow_counts_and_lets_pass_and_those_allowed_are_not_counted) {
    limits = {per_hour({"client"}), per_hour({"client"})};
    limits[0].mode = config::Mode::shadow;
    limits[1].allow = {"127.0.0.0/8"};
    start();
    for (int i = 0; i < 3; ++i) {
        const auto answer = ask();
        EXPECT_EQ(answer.status(), 200);
        EXPECT_FALSE(answer.has("ratelimit")) << "a limit that does not act is no client's business";
    }
    EXPECT_EQ(stats().shadow, 2U);
    std::uint64_t shadow = 0;
    for (const auto& refusal : proxy.server().stats().refusals)
        if (refusal.mode == "shadow" && refusal.reason == "rate") shadow += refusal.count;
    EXPECT_EQ(shadow, 2U);
    EXPECT_EQ(proxy.refused("rate"), 0U);
}

TEST_F(LimitsTest, a_reload_keeps_what_clients_have_used_up) {
    limits = {per_hour({"client"})};
    start();
    EXPECT_EQ(status(), 200);
    limits[0].rate = "2/h";
    proxy.server().apply(proxy.config, {{"app", proxy.pool}});
    EXPECT_EQ(status(), 429);
    limits.clear();
    proxy.server().apply(proxy.config, {{"app", proxy.pool}});
    EXPECT_EQ(status(), 200);
}

// Redis counts a request at all of its limits or at none, and so does what we remember for the time without Redis.
TEST(SharedLimits, what_a_later_one_refuses_is_not_owed_at_those_before_it) {
    using std::chrono::hours;
    config::Route route;
    route.limits = {per_hour({"client"}), per_hour({"path"})};
    for (auto& limit : route.limits) limit.shared = true;
    Limits limits;
    const auto compiled = limits.compile(route, "GET /", 64);
    const http::FieldTable fields{};
    const LimitedRequest request{"127.0.0.1", "/a", {}, {}, fields}, elsewhere{"127.0.0.1", "/b", {}, {}, fields};
    LimitHold hold;
    const Instant now{hours{1}};

    LimitsUnderWay under_way;
    limits.judge(now, compiled, request, hold, under_way);
    ASSERT_EQ(under_way.shared.size(), 2U);
    const std::vector<RateVerdict> said{{.allowed = true, .whole_after = hours{1}},
                                        {.allowed = false, .retry_after = hours{1}, .whole_after = hours{1}}};
    EXPECT_EQ(limits.conclude(now, under_way, said).refusal.status, 429);

    LimitsUnderWay without;
    limits.judge(now, compiled, elsewhere, hold, without);
    EXPECT_FALSE(limits.conclude_without(now, without, config::OnFailure::local, 1).refusal)
        << "of this client's path /b nothing was asked, and of the client itself nothing was counted";
    LimitsUnderWay again;
    limits.judge(now, compiled, request, hold, again);
    EXPECT_EQ(limits.conclude_without(now, again, config::OnFailure::local, 1).refusal.status, 429)
        << "what did count is remembered";
}

TEST(InflightLimit, whoever_was_refused_in_the_midst_of_a_body_is_under_way_no_more) {
    Origin origin(echo);
    Proxy proxy;
    proxy.config.proxy.threads = 1;
    config::Limit limit;
    limit.inflight = 1;
    proxy.config.routes[0].limits = {limit};
    proxy.config.listeners[0].max_body = {1'000};
    proxy.add_worker(origin.address(), 8);
    proxy.start();
    auto large = proxy.client(), next = proxy.client();
    large.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
    ASSERT_EQ(large.read_response().status(), 100);
    large.send("7d0\r\n" + std::string(1'500, 'u'));
    ASSERT_EQ(large.read_response().status(), 413); // and the proxy reads on, lest a reset takes the answer away
    next.send(get());
    EXPECT_EQ(next.read_response().status(), 200);
}

TEST(InflightLimit, no_more_than_allowed_are_under_way_and_an_end_makes_room) {
    std::atomic<bool> answer = false;
    Origin origin([&](Peer& peer) {
        if (!peer.read_request().complete) return;
        eventually([&] { return answer.load(); });
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    });
    Proxy proxy;
    config::Limit limit;
    limit.inflight = 2;
    proxy.config.routes[0].limits = {limit};
    proxy.add_worker(origin.address(), 8, false);
    proxy.start();
    std::vector<Peer> clients;
    for (std::size_t i = 0; i < 2; ++i) {
        clients.push_back(proxy.client());
        clients.back().send(get());
        ASSERT_TRUE(eventually([&] { return proxy.in_flight() == i + 1; }));
    }
    auto third = proxy.client();
    third.send(get());
    const auto refused = third.read_response();
    EXPECT_EQ(refused.status(), 429);
    EXPECT_EQ(refused.field("x-plimsoll-reason"), "inflight");
    const auto pause = std::stoi("0" + refused.field("retry-after"));
    EXPECT_GE(pause, 1);
    EXPECT_LE(pause, 3);
    answer = true;
    for (auto& client : clients) EXPECT_EQ(client.read_response().status(), 200);
    EXPECT_TRUE(eventually([&] {
        third.send(get());
        return third.read_response().status() == 200;
    }));
}

} // namespace
} // namespace plimsoll::net::testing
