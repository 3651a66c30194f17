// What routes do beyond choosing a pool, through the real server.
#include <fstream>

#include "proxy.hpp"

namespace plimsoll::net::testing {
namespace {

// Answers with the head that it got.
void mirror(Peer& peer) {
    while (true) {
        const auto request = peer.read_request();
        if (!request.complete) return;
        peer.send("HTTP/1.1 200 OK\r\nServer: worker/1\r\nX-Powered-By: x\r\nContent-Length: " +
                  std::to_string(request.head.size()) + "\r\n\r\n" + request.head);
    }
}

class ActionsTest : public ::testing::Test {
protected:
    Proxy proxy;
    config::Route& route() { return proxy.config.routes[0]; }
    Message answer(const std::string& bytes) {
        auto client = proxy.client();
        client.send(bytes);
        return client.read_response(bytes.starts_with("HEAD"));
    }
};

TEST_F(ActionsTest, a_worker_gets_the_path_without_its_prefix_and_the_query_as_it_came) {
    Origin origin(mirror);
    proxy.add_worker(origin.address());
    route().strip_prefix = "/api";
    proxy.start();
    const auto seen = answer(get("/api/a%2Fb?next=//x&y=%2e%2e/")).body;
    EXPECT_TRUE(seen.starts_with("GET /a%2Fb?next=//x&y=%2e%2e/ HTTP/1.1\r\n")) << seen;
    EXPECT_NE(seen.find("X-Forwarded-Prefix: /api\r\n"), std::string::npos) << seen;
    EXPECT_TRUE(answer(get("/api//evil.example/")).body.starts_with("GET /evil.example/ HTTP/1.1\r\n"));
    const auto other = answer(get("/other")).body;
    EXPECT_TRUE(other.starts_with("GET /other HTTP/1.1\r\n"));
    EXPECT_EQ(other.find("X-Forwarded-Prefix"), std::string::npos) << "nothing was taken from it";
}

// It begins its links with it: one that does not lead back is worse than none.
TEST_F(ActionsTest, a_worker_is_told_what_it_is_mounted_at_and_nothing_where_that_is_no_prefix_of_its_paths) {
    Origin origin(mirror);
    proxy.add_worker(origin.address());
    route().strip_prefix = "/api";
    proxy.config.proxy.trusted_proxies = {"127.0.0.1"};
    proxy.start();
    const auto prefix = [&](const std::string& path, const std::string& outer) {
        auto seen = answer(get(path, "X-Forwarded-Prefix: " + outer + "\r\n"));
        seen.head = seen.body;
        return seen.field("x-forwarded-prefix");
    };
    EXPECT_EQ(prefix("/api/users", "/shop"), "/shop/api");
    EXPECT_EQ(prefix("/api/users", "/shop/"), "/shop/api");
    EXPECT_EQ(prefix("/api/users", "/"), "/api");
    EXPECT_EQ(prefix("/api/users", "evil.example"), "/api");
    EXPECT_EQ(prefix("/other", "/shop"), "/shop");

    auto config = proxy.config;
    const auto reload = [&] { proxy.server().apply(config, Pools{{"app", proxy.pool}}); };
    config.proxy.trusted_proxies_set = {"X-Forwarded-For"};
    reload();
    EXPECT_EQ(prefix("/api/users", "/shop"), "/api");
    EXPECT_EQ(prefix("/other", "/shop"), "");

    config.proxy.trusted_proxies_set = {"*"};
    config.routes[0].replace_prefix = "/v1";
    reload();
    EXPECT_TRUE(answer(get("/api/users")).body.starts_with("GET /v1/users "));
    EXPECT_EQ(prefix("/api/users", "/shop"), "");
    config.routes[0].strip_prefix.clear();
    reload();
    EXPECT_TRUE(answer(get("/users")).body.starts_with("GET /v1/users "));
    EXPECT_EQ(prefix("/users", "/shop"), "");
}

// An application that does not resolve dots would see another path than the one that the route was chosen by.
TEST_F(ActionsTest, where_dots_decide_the_route_the_worker_gets_the_path_without_them) {
    Origin origin(mirror);
    proxy.add_worker(origin.address());
    config::Route closed;
    closed.path = "/admin/";
    closed.respond.status = 403;
    closed.pool.clear();
    proxy.config.routes.insert(proxy.config.routes.begin(), closed);
    proxy.start();
    EXPECT_EQ(answer(get("/admin/users")).status(), 403);
    EXPECT_EQ(answer(get("/x/../admin/users")).status(), 403);
    EXPECT_TRUE(answer(get("/admin/x/../../a%20b?q=/../")).body.starts_with("GET /a%20b?q=/../ HTTP/1.1\r\n"));
    EXPECT_TRUE(answer(get("/admin/%2e%2e/public")).body.starts_with("GET /public HTTP/1.1\r\n"));
    EXPECT_TRUE(answer(get("/a/./b/../c")).body.starts_with("GET /a/./b/../c HTTP/1.1\r\n")) << "all read it alike";
    EXPECT_TRUE(answer(get("/caf%C3%A9")).body.starts_with("GET /caf%C3%A9 HTTP/1.1\r\n"));
    for (const char* whole : {"*", "http://test"})
        EXPECT_TRUE(answer("OPTIONS " + std::string(whole) + " HTTP/1.1\r\nHost: test\r\n\r\n")
                        .body.starts_with("OPTIONS * HTTP/1.1\r\n"))
            << whole;
}

// One that decodes escapes first would see such a path: what it begins with before ".." is taken back is another's as well.
TEST_F(ActionsTest, where_escapes_and_dots_together_decide_the_route_the_worker_gets_the_path_without_them) {
    Origin origin(mirror);
    proxy.add_worker(origin.address());
    config::Route closed;
    closed.path = "/admin";
    closed.respond.status = 403;
    closed.pool.clear();
    proxy.config.routes.insert(proxy.config.routes.begin(), closed);
    proxy.start();
    for (const auto& [sent, seen] : {std::pair{"/%61dmin/users/../../x", "/x"},
                                     {"/%61dmin/..", "/"},
                                     {"/adm%69n/%2e%2e/", "/"},
                                     {"/%2fadmin/../x", "/x"},
                                     {"//admin/../x", "/x"},
                                     {"/./admin/../x", "/x"},
                                     {"/%2e/%61dmin/..%2fx%20y", "/x%20y"},
                                     {"/x/../admin//../y", "/y"},     // by RFC 3986 /admin/y
                                     {"/x%2fy/../admin", "/x/admin"}, // who resolves dots first: /admin
                                     {"/x%2fy/%2e%2e/admin", "/x/admin"},
                                     {"/a/../b%2Fc", "/a/../b%2Fc"}, // all read it alike
                                     {"/img/https://cdn/a/../b", "/img/https://cdn/a/../b"}})
        EXPECT_TRUE(answer(get(sent)).body.starts_with("GET " + std::string(seen) + " HTTP/1.1\r\n")) << sent;
    for (const char* inside :
         {"/x/..%2fadmin", "/%61dmin", "/%2fadmin/x", "/x/%2e%2e/./%61dmin", "/x%2Fy//%2e./%2e%2E/admin"})
        EXPECT_EQ(answer(get(inside)).status(), 403) << inside;
}

TEST_F(ActionsTest, fields_are_set_and_removed_both_ways) {
    Origin origin(mirror);
    proxy.add_worker(origin.address());
    route().set_request_fields = {{"X-Tenant", "a"}};
    route().remove_request_fields = {"X-Debug"};
    route().set_response_fields = {{"Strict-Transport-Security", "max-age=1"}};
    route().remove_response_fields = {"X-Powered-By"};
    proxy.start();
    const auto got = answer(get("/", "x-tenant: forged\r\nX-TENANT: again\r\nx-debug: 1\r\nX-Other: 1\r\n"));
    EXPECT_NE(got.body.find("X-Tenant: a\r\n"), std::string::npos) << got.body;
    for (const auto* gone : {"forged", "again", "x-debug"})
        EXPECT_EQ(got.body.find(gone), std::string::npos) << got.body;
    EXPECT_NE(got.body.find("X-Other: 1\r\n"), std::string::npos);
    EXPECT_EQ(got.field("strict-transport-security"), "max-age=1");
    EXPECT_FALSE(got.has("x-powered-by"));
}

// A browser reads no Retry-After of an answer without Access-Control-Allow-Origin, whoever gave it.
TEST_F(ActionsTest, what_a_route_sets_is_in_our_refusals_too) {
    proxy.add_worker("127.0.0.1:1"); // nobody listens there
    route().set_response_fields = {
        {"Access-Control-Allow-Origin", "*"}, {"Retry-After", "9"}, {"Cache-Control", "max-age=99"},
        {"Content-Type", "text/css"},         {"ETag", "a"},        {"X-Request-Id", "b"}};
    route().remove_response_fields = {"Date", "Cache-Control", "Retry-After", "Content-Type"};
    config::Limit limit;
    limit.rate = "1/h";
    route().limits = {limit};
    proxy.start();
    for (const unsigned status : {502u, 429u}) {
        const auto got = answer(get("/"));
        ASSERT_EQ(got.status(), status);
        EXPECT_EQ(got.field("access-control-allow-origin"), "*");
        EXPECT_EQ(got.field("x-request-id"), "b");
        EXPECT_EQ(got.field("cache-control"), "no-store");
        EXPECT_EQ(got.field("content-type"), "text/plain; charset=utf-8");
        EXPECT_TRUE(got.has("x-plimsoll-reason"));
        for (const char* gone : {"etag", "date"}) EXPECT_FALSE(got.has(gone)) << gone;
        EXPECT_EQ(got.has("retry-after"), status == 429);
        EXPECT_EQ(got.head.find("max-age"), std::string::npos) << got.head;
        EXPECT_EQ(got.head.find("Retry-After: 9\r\n"), std::string::npos) << got.head;
    }
}

TEST_F(ActionsTest, in_maintenance_there_is_one_time_to_come_again) {
    route().set_response_fields = {{"Retry-After", "9"}};
    route().maintenance = {.enabled = true, .retry_after = std::chrono::seconds{120}, .body = "<h1>Back soon</h1>"};
    proxy.start();
    const auto got = answer(get("/"));
    EXPECT_EQ(got.field("retry-after"), "120");
    EXPECT_EQ(got.head.find("Retry-After: 9"), std::string::npos) << got.head;
}

TEST_F(ActionsTest, a_fixed_answer_needs_no_worker) {
    route().pool = "";
    route().respond.status = 200;
    route().respond.body = std::string(200'000, 'x');
    route().respond.content_type = "text/css";
    proxy.start();
    auto client = proxy.client();
    for (int i = 0; i < 3; ++i) { // the connection stays
        client.send(get("/"));
        const auto got = client.read_response();
        EXPECT_EQ(got.status(), 200);
        EXPECT_EQ(got.body, route().respond.body);
        EXPECT_EQ(got.field("content-type"), "text/css");
        EXPECT_TRUE(got.has("date"));
    }
    const auto head = answer("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
    EXPECT_EQ(head.field("content-length"), "200000");
    EXPECT_EQ(answer(post("/", "a body that nobody reads")).status(), 200);
}

TEST_F(ActionsTest, an_answer_without_content_has_none) {
    route().respond.status = 204;
    proxy.start();
    auto client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    const auto all = client.read_to_end();
    EXPECT_EQ(all.find("ontent-"), std::string::npos) << all;
    EXPECT_NE(all.find("HTTP/1.1 204", 5), std::string::npos) << all;
}

TEST_F(ActionsTest, a_redirect_fills_in_host_path_and_query) {
    route().redirect.to = "https://{host}{path}{query}";
    proxy.start();
    auto got = answer(get("/a%20b?x=1&y=%2f"));
    EXPECT_EQ(got.status(), 308);
    EXPECT_EQ(got.field("location"), "https://test/a%20b?x=1&y=%2f");
    EXPECT_EQ(answer("GET http://other.test:8080/x HTTP/1.1\r\nHost: test\r\n\r\n").field("location"),
              "https://other.test/x");
    EXPECT_EQ(answer("GET / HTTP/1.0\r\n\r\n").status(), 400); // it names no host
}

TEST_F(ActionsTest, a_redirect_to_a_path_leads_to_no_other_host) {
    route().redirect = {.to = "{path}{query}", .status = 302};
    route().strip_prefix = "/old";
    route().replace_prefix = "/new";
    proxy.start();
    EXPECT_EQ(answer(get("/old/x?q")).field("location"), "/new/x?q");
    EXPECT_EQ(answer(get("//evil.example/old?q")).field("location"), "/evil.example/old?q");
    EXPECT_EQ(answer(get("/%2f/evil.example")).field("location"), "/evil.example");
}

TEST_F(ActionsTest, maintenance_comes_and_goes_with_a_reload) {
    Origin origin(echo);
    proxy.add_worker(origin.address());
    proxy.start();
    EXPECT_EQ(answer(get("/")).status(), 200);

    auto config = proxy.config;
    config.pools[0].maintenance = {
        .enabled = true, .retry_after = std::chrono::seconds{120}, .body = "<h1>Back soon</h1>"};
    proxy.server().apply(config, Pools{{"app", proxy.pool}});
    auto got = answer(get("/"));
    EXPECT_EQ(got.status(), 503);
    EXPECT_EQ(got.body, "<h1>Back soon</h1>");
    EXPECT_EQ(got.field("retry-after"), "120");
    EXPECT_EQ(got.field("x-plimsoll-reason"), "maintenance");
    EXPECT_EQ(got.field("content-type"), "text/html; charset=utf-8");
    EXPECT_TRUE(eventually([this] { return proxy.refused("maintenance") == 1; }));

    config.pools[0].maintenance.body.clear(); // without a page: as other refusals
    proxy.server().apply(config, Pools{{"app", proxy.pool}});
    got = answer(get("/", "Accept: application/json\r\n"));
    EXPECT_EQ(got.field("content-type"), "application/problem+json");
    EXPECT_EQ(got.field("retry-after"), "120");

    proxy.server().apply(proxy.config, Pools{{"app", proxy.pool}});
    EXPECT_EQ(answer(get("/")).status(), 200);
}

TEST_F(ActionsTest, a_session_stays_at_its_worker_by_a_cookie_that_we_set) {
    std::vector<std::unique_ptr<Origin>> origins;
    for (int i = 0; i < 4; ++i) {
        origins.push_back(std::make_unique<Origin>([i](Peer& peer) {
            while (peer.read_request().complete)
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + std::to_string(i));
        }));
        proxy.add_worker(origins.back()->address());
    }
    route().affinity = "cookie:home";
    route().set_affinity_cookie = true;
    proxy.start();
    for (int session = 0; session < 8; ++session) {
        const auto first = answer(get("/"));
        const auto cookie = first.field("set-cookie");
        ASSERT_TRUE(cookie.starts_with("home=")) << cookie;
        EXPECT_NE(cookie.find("; Path=/; HttpOnly; SameSite=Lax"), std::string::npos) << cookie;
        for (int i = 0; i < 4; ++i) {
            const auto again = answer(get("/", "Cookie: a=b; " + cookie.substr(0, cookie.find(';')) + "; c=d\r\n"));
            EXPECT_EQ(again.body, first.body);
            EXPECT_FALSE(again.has("set-cookie"));
        }
        const auto value = cookie.substr(5, cookie.find(';') - 5);
        const auto quoted = answer(get("/", "Cookie: home =\"" + value + "\" \r\nCookie: home=of-a-shorter-path\r\n"));
        EXPECT_EQ(quoted.body, first.body) << "the same session to the application";
    }
}

TEST_F(ActionsTest, the_cookie_of_a_client_that_came_by_https_is_secure) {
    Origin origin(mirror);
    proxy.add_worker(origin.address());
    route().affinity = "cookie:home";
    route().set_affinity_cookie = true;
    proxy.start();
    const auto cookie = [&](const char* fields) { return answer(get("/", fields)).field("set-cookie"); };
    EXPECT_EQ(cookie("X-Forwarded-Proto: https\r\n").find("Secure"), std::string::npos) << "a stranger's word";

    auto config = proxy.config;
    config.proxy.trusted_proxies = {"127.0.0.0/8"};
    proxy.server().apply(config, Pools{{"app", proxy.pool}});
    EXPECT_TRUE(cookie("X-Forwarded-Proto: https\r\n").ends_with("; SameSite=Lax; Secure"));
    EXPECT_TRUE(cookie("X-Forwarded-Proto: http\r\n").ends_with("; SameSite=Lax")) << "it would never come back";
}

TEST_F(ActionsTest, traces_begin_here_as_the_operator_says) {
    Origin origin(mirror);
    proxy.add_worker(origin.address());
    proxy.config.proxy.trusted_proxies = {"127.0.0.1"};
    proxy.start();
    const std::string theirs = "00-11111111111111111111111111111111-2222222222222222-00";
    const auto told = [&](const std::string& fields = "") {
        auto seen = answer(get("/", fields));
        seen.head = seen.body;
        return seen.field("traceparent");
    };
    EXPECT_TRUE(told().ends_with("-01"));
    EXPECT_EQ(told("traceparent: " + theirs + "\r\n"), theirs);

    auto config = proxy.config;
    const auto reload = [&] { proxy.server().apply(config, Pools{{"app", proxy.pool}}); };
    config.proxy.trace_share = 0;
    reload();
    EXPECT_TRUE(told().ends_with("-00"));
    config.proxy.trace_share = 0.5;
    reload();
    int sampled = 0;
    for (int i = 0; i < 100; ++i) sampled += told().ends_with("-01");
    EXPECT_GT(sampled, 10);
    EXPECT_LT(sampled, 90);
    config.proxy.traceparent = "pass";
    reload();
    EXPECT_EQ(told(), "");
    EXPECT_EQ(told("traceparent: forged\r\n"), "");
    EXPECT_EQ(told("traceparent: " + theirs + "\r\n"), theirs);
}

TEST_F(ActionsTest, a_target_is_as_long_as_the_listener_lets_it_be) {
    Origin origin(echo);
    proxy.add_worker(origin.address());
    proxy.config.listeners[0].max_target = {100};
    proxy.start();
    const auto status = [&](std::size_t size) { return answer(get("/?" + std::string(size - 2, 'q'))).status(); };
    EXPECT_EQ(status(100), 200);
    EXPECT_EQ(status(101), 414);
    auto config = proxy.config;
    config.listeners[0].max_target = {20'000};
    proxy.server().apply(config, Pools{{"app", proxy.pool}});
    EXPECT_EQ(status(20'000), 200);
    EXPECT_EQ(status(20'001), 414);
}

TEST_F(ActionsTest, the_server_field_and_via_are_the_operators_choice) {
    Origin origin(mirror);
    proxy.add_worker(origin.address());
    proxy.start();
    auto got = answer(get("/", "Via: 1.1 front\r\n"));
    EXPECT_EQ(got.field("server"), "worker/1");
    EXPECT_FALSE(got.has("via"));
    EXPECT_LT(got.body.find("Via: 1.1 front\r\n"), got.body.find("Via: 1.1 plimsoll\r\n"));

    auto config = proxy.config;
    config.proxy.via = "edge";
    config.proxy.via_to_clients = true;
    config.proxy.server = "replace";
    proxy.server().apply(config, Pools{{"app", proxy.pool}});
    got = answer(get("/"));
    EXPECT_EQ(got.field("server"), "plimsoll");
    EXPECT_EQ(got.field("via"), "1.1 edge");
    EXPECT_NE(got.body.find("Via: 1.1 edge\r\n"), std::string::npos);

    config.proxy.via = "";
    config.proxy.server = "remove";
    proxy.server().apply(config, Pools{{"app", proxy.pool}});
    got = answer(get("/"));
    EXPECT_FALSE(got.has("server"));
    EXPECT_FALSE(got.has("via"));
    EXPECT_EQ(got.body.find("Via:"), std::string::npos);
}

} // namespace
} // namespace plimsoll::net::testing
