// The path at which load balancers in front ask whether to send anybody here.
#include <fstream>

#include "log/log.hpp"
#include "proxy.hpp"

namespace plimsoll::net::testing {
namespace {

class HealthPath : public ::testing::Test {
protected:
    HealthPath()
        : origin([](Peer& peer) {
              while (peer.read_request().complete) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nworker");
          }) {
        proxy.config.listeners[0].health_path = "/-/ready";
        proxy.add_worker(origin.address());
    }
    Message answer(const std::string& bytes) {
        auto client = proxy.client();
        client.send(bytes);
        return client.read_response(bytes.starts_with("HEAD"));
    }
    Origin origin;
    Proxy proxy;
};

TEST_F(HealthPath, says_what_it_was_told_last_and_asks_no_worker) {
    proxy.start();
    auto seen = answer(get("/-/ready"));
    EXPECT_EQ(seen.status(), 503) << "nobody has said yet that anybody serves";
    EXPECT_EQ(seen.body, "not ready\n");
    EXPECT_EQ(seen.field("x-plimsoll-reason"), "not_ready");
    EXPECT_EQ(seen.field("cache-control"), "no-store");

    proxy.server().tell(Readiness::ready);
    auto client = proxy.client(); // a balancer keeps its connection
    for (const auto path : {"/-/ready", "/-/ready?from=lb", "/-//ready", "/-/%72eady", "/x/../-/ready"}) {
        client.send(get(path));
        seen = client.read_response();
        EXPECT_EQ(seen.status(), 200) << path;
        EXPECT_EQ(seen.body, "ready\n") << path;
    }
    EXPECT_EQ(seen.field("cache-control"), "no-store");
    client.send("HEAD /-/ready HTTP/1.1\r\nHost: test\r\n\r\n");
    seen = client.read_response(true);
    EXPECT_EQ(seen.status(), 200);
    EXPECT_EQ(seen.field("content-length"), "6");

    proxy.server().tell(Readiness::stopping);
    client.send(get("/-/ready"));
    seen = client.read_response();
    EXPECT_EQ(seen.status(), 503);
    EXPECT_EQ(seen.field("x-plimsoll-reason"), "stopping");
    EXPECT_EQ(origin.connections(), 0u) << "a worker was asked";
    EXPECT_EQ(answer(get("/-/ready/")).body, "worker") << "this path alone";
    EXPECT_EQ(answer(get("/-")).body, "worker");
}

TEST_F(HealthPath, takes_no_other_method_and_hands_none_to_a_worker) {
    proxy.start();
    proxy.server().tell(Readiness::ready);
    const auto seen = answer(post("/-/ready", "x"));
    EXPECT_EQ(seen.status(), 405);
    EXPECT_EQ(seen.field("allow"), "GET, HEAD");
    EXPECT_EQ(origin.connections(), 0u);
}

TEST_F(HealthPath, is_no_traffic_neither_in_the_counts_nor_in_the_access_log) {
    proxy.config.log.access = true;
    proxy.config.log.file = ::testing::TempDir() + "health-path-log";
    std::remove(proxy.config.log.file.c_str());
    ASSERT_EQ(log::start(proxy.config.log), "");
    proxy.start();
    EXPECT_EQ(answer(get("/-/ready")).status(), 503);
    EXPECT_EQ(answer(get("/seen")).status(), 200);
    ASSERT_TRUE(proxy.stop(std::chrono::seconds{5}));
    const auto stats = proxy.server().stats();
    std::uint64_t requests = 0;
    for (const auto& route : stats.routes)
        for (const auto count : route.by_class) requests += count;
    EXPECT_EQ(requests, 1u);
    EXPECT_EQ(proxy.refused("not_ready"), 0u);
    log::stop();
    std::ifstream file(proxy.config.log.file);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    EXPECT_NE(text.find("/seen"), std::string::npos) << text;
    EXPECT_EQ(text.find("/-/ready"), std::string::npos) << text;
}

TEST_F(HealthPath, is_a_path_like_any_other_where_none_is_set) {
    proxy.config.listeners[0].health_path.clear();
    proxy.start();
    EXPECT_EQ(answer(get("/-/ready")).body, "worker");
}

// A stop that is announced: clients come back by way of the balancer, which knows by then.
TEST_F(HealthPath, whoever_asks_before_a_stop_is_served_and_told_that_the_connection_ends) {
    proxy.start();
    auto kept = proxy.client();
    kept.send(get("/"));
    EXPECT_EQ(kept.read_response().field("connection"), "");
    proxy.server().part();
    for (const std::string path : {"/", "/-/ready"}) {
        auto client = proxy.client();
        client.send(get(path));
        EXPECT_EQ(client.read_response().field("connection"), "close") << path;
        EXPECT_TRUE(client.ended()) << path;
    }
    kept.send(get("/"));
    const auto last = kept.read_response();
    EXPECT_EQ(last.body, "worker");
    EXPECT_EQ(last.field("connection"), "close");
}

} // namespace
} // namespace plimsoll::net::testing
