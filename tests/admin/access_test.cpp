#include "admin/access.hpp"

#include "admin/harness.hpp"

namespace plimsoll::admin {
namespace {

using access_over_sockets = AdminTest;

Request request(std::string method, std::string host, std::string origin = "", std::string fetch_site = "") {
    Request request;
    request.method = std::move(method);
    request.target = "/v1/status";
    request.host = std::move(host);
    request.origin = std::move(origin);
    request.fetch_site = std::move(fetch_site);
    return request;
}

int verdict(const Access& access, const Request& request, bool open = false) {
    const auto refusal = refuse(access, request, open);
    return refusal ? refusal->status : 200;
}

TEST(access, without_a_token_only_names_of_this_host_are_answered) {
    const Access loopback{false, "127.0.0.1", ""};
    for (const auto host : {"127.0.0.1:9180", "127.0.0.1", "localhost", "LocalHost:80", "[::1]:9180", "127.8.8.8", ""})
        EXPECT_EQ(verdict(loopback, request("GET", host)), 200) << host;
    for (const auto host : {"evil.example:9180", "localhost.evil.example", "192.168.0.7", "[fe80::1]", "[", "[]:1",
                            "0.0.0.0:9180", "127.0.0.1.evil.example"})
        EXPECT_EQ(verdict(loopback, request("GET", host)), 403) << host;
    EXPECT_EQ(verdict({true, "", ""}, request("GET", "whatever")), 200) << "no browser reaches a unix socket";
    EXPECT_EQ(verdict(loopback, request("GET", "evil.example"), true), 403) << "not even health";
}

TEST(access, a_foreign_page_may_not_act) {
    const Access loopback{false, "127.0.0.1", ""};
    EXPECT_EQ(verdict(loopback, request("POST", "localhost:9180")), 200);
    EXPECT_EQ(verdict(loopback, request("POST", "localhost:9180", "http://localhost:9180", "same-origin")), 200);
    EXPECT_EQ(verdict(loopback, request("POST", "localhost:9180", "http://localhost:3000")), 403);
    EXPECT_EQ(verdict(loopback, request("POST", "localhost:9180", "https://evil.example")), 403);
    EXPECT_EQ(verdict(loopback, request("POST", "localhost:9180", "null")), 403);
    EXPECT_EQ(verdict(loopback, request("POST", "localhost:9180", "", "cross-site")), 403);
    auto with_token = request("POST", "proxy.example", "https://evil.example");
    with_token.token = "s3cret";
    EXPECT_EQ(verdict({false, "0.0.0.0", "s3cret"}, with_token), 403);
}

TEST(access, a_token_is_asked_for_and_compared_whole) {
    const Access access{false, "0.0.0.0", "s3cret"};
    auto asked = request("GET", "proxy.example");
    EXPECT_EQ(verdict(access, asked), 401);
    EXPECT_EQ(verdict(access, asked, true), 200) << "health checks are open";
    EXPECT_FALSE(has_token(access, asked));
    for (const auto wrong : {"", "s3cre", "s3cretx", "S3CRET", "s3cret "}) {
        asked.token = wrong;
        EXPECT_EQ(verdict(access, asked), 401) << wrong;
    }
    asked.token = "s3cret";
    EXPECT_EQ(verdict(access, asked), 200);
    asked.token.clear();
    for (const auto right : {"Bearer s3cret", "bearer s3cret"}) {
        asked.authorization = right;
        EXPECT_EQ(verdict(access, asked), 200) << right;
    }
    for (const auto wrong : {"s3cret", "Bearer", "Bearer ", "Basic s3cret", "Bearer s3cret "}) {
        asked.authorization = wrong;
        EXPECT_EQ(verdict(access, asked), 401) << wrong;
    }
}

TEST(access, constant_time_comparison_still_compares) {
    EXPECT_TRUE(equal_in_constant_time("", ""));
    EXPECT_TRUE(equal_in_constant_time("abc", "abc"));
    for (const auto other : {"", "ab", "abd", "abcd", "Abc"})
        EXPECT_FALSE(equal_in_constant_time(other, "abc")) << other;
}

TEST_F(access_over_sockets, the_token_guards_everything_but_health) {
    auto settings = loopback();
    settings.token = "s3cret";
    {
        const std::lock_guard guard(script_.mutex);
        script_.not_ready = "pool secret-project: down";
    }
    start(settings);
    EXPECT_EQ(get("/healthz").status, 200);
    EXPECT_EQ(get("/readyz").status, 503);
    EXPECT_EQ(get("/readyz").body, "not ready\n") << "the reasons are for those who have the token";
    EXPECT_EQ(get("/readyz?pool=app").body, "not ready\n");
    EXPECT_NE(get("/readyz", "X-Plimsoll-Token: s3cret\r\n").body.find("secret-project"), std::string::npos);
    for (const auto target :
         {"/", "/metrics", "/v1/status", "/v1/config", "/v1/events", "/nix", "/healthz/..", "/v1/openapi.json"})
        EXPECT_EQ(get(target).status, 401) << target;
    EXPECT_EQ(get("/v1/status").fields.at("www-authenticate"), "Bearer");
    EXPECT_EQ(post("/v1/pools/app/workers/app-1/recycle").status, 401);
    EXPECT_TRUE(script_.acted.empty());
    EXPECT_EQ(get("/v1/status", "Authorization: Bearer s3cret\r\n").status, 200);
    EXPECT_EQ(get("/v1/status", "Host: any.name\r\nX-Plimsoll-Token: s3cret\r\n").status, 200);
}

TEST_F(access_over_sockets, a_rebound_name_and_a_foreign_origin_are_refused) {
    start();
    EXPECT_EQ(get("/v1/status", "Host: evil.example\r\n").status, 403);
    EXPECT_EQ(post("/v1/pools/app/workers/app-1/recycle", "", "Origin: https://evil.example\r\n").status, 403);
    EXPECT_TRUE(script_.acted.empty());
}

} // namespace
} // namespace plimsoll::admin
