// The PROXY protocol through the real server: who is believed, and whom the worker hears of.
#include "proxy.hpp"

namespace plimsoll::net::testing {
namespace {

// Answers with the client's address as the worker was told it.
void tell_client(Peer& peer) {
    while (true) {
        const auto request = peer.read_request();
        if (!request.complete) return;
        const auto client = request.field("x-forwarded-for");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(client.size()) + "\r\n\r\n" + client);
    }
}

class ProxyProtocolTest : public ::testing::Test {
protected:
    Origin origin{tell_client};
    Proxy proxy;
    void start(const std::string& trusted = "127.0.0.1") {
        proxy.config.listeners[0].proxy_protocol = true;
        proxy.config.proxy.trusted_proxies = {trusted};
        proxy.add_worker(origin.address());
        proxy.start();
    }
};

const std::string introduction = "PROXY TCP4 203.0.113.7 192.0.2.9 51000 443\r\n";

TEST_F(ProxyProtocolTest, the_worker_hears_of_the_client_behind_the_load_balancer) {
    start();
    auto client = proxy.client();
    client.send(introduction + get("/", "X-Forwarded-For: 10.9.9.9\r\n"));
    EXPECT_EQ(client.read_response().body, "203.0.113.7"); // whom nobody trusts
    client.send(get("/"));
    EXPECT_EQ(client.read_response().body, "203.0.113.7"); // for as long as the connection lasts
}

TEST_F(ProxyProtocolTest, a_header_may_come_byte_by_byte) {
    start();
    auto client = proxy.client();
    for (const char c : introduction) {
        client.send({&c, 1});
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    client.send(get("/"));
    EXPECT_EQ(client.read_response().body, "203.0.113.7");
}

TEST_F(ProxyProtocolTest, a_load_balancer_may_ask_for_itself) {
    start();
    auto client = proxy.client();
    client.send(std::string("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16) + get("/"));
    EXPECT_EQ(client.read_response().body, "127.0.0.1");
}

TEST_F(ProxyProtocolTest, a_client_that_nobody_knows_is_not_believed) {
    start();
    auto client = proxy.client();
    client.send("PROXY UNKNOWN\r\n" + get("/", "X-Forwarded-For: 10.9.9.9\r\n"));
    EXPECT_EQ(client.read_response().body, "127.0.0.1");
}

TEST_F(ProxyProtocolTest, nor_does_he_choose_by_whom_he_is_counted) {
    config::Limit limit;
    limit.rate = "1/h";
    proxy.config.routes[0].limits = {limit};
    start();
    const auto status = [&](const std::string& claim) {
        auto client = proxy.client();
        client.send("PROXY UNKNOWN\r\n" + get("/", "X-Forwarded-For: " + claim + "\r\n"));
        return client.read_response().status();
    };
    EXPECT_EQ(status("10.9.9.1"), 200);
    EXPECT_EQ(status("10.9.9.2"), 429);
}

TEST_F(ProxyProtocolTest, who_is_not_trusted_is_not_served) {
    start("192.0.2.0/24");
    auto client = proxy.client();
    client.send(introduction + get("/"));
    EXPECT_EQ(client.read_to_end(), "");
    EXPECT_TRUE(eventually([&] { return proxy.refused("proxy_protocol") == 1; }));
    EXPECT_EQ(origin.connections(), 0);
}

TEST_F(ProxyProtocolTest, a_connection_without_a_header_is_closed) {
    start();
    auto client = proxy.client();
    client.send(get("/"));
    EXPECT_EQ(client.read_to_end(), "");
    EXPECT_TRUE(eventually([&] { return proxy.refused("proxy_protocol") == 1; }));
}

TEST_F(ProxyProtocolTest, half_a_header_is_waited_for_no_longer_than_for_a_head) {
    proxy.config.listeners[0].header_timeout = std::chrono::milliseconds{100};
    start();
    auto client = proxy.client();
    client.send("PROXY TCP4 ");
    EXPECT_TRUE(client.ended());
    EXPECT_TRUE(eventually([&] { return proxy.refused("proxy_protocol") == 1; }));
}

TEST_F(ProxyProtocolTest, a_connection_that_says_nothing_is_no_fault) {
    start();
    proxy.client().close();
    auto client = proxy.client();
    client.send(introduction + get("/"));
    EXPECT_EQ(client.read_response().status(), 200);
    EXPECT_EQ(proxy.refused("proxy_protocol"), 0u);
}

std::string introduction_of(const std::string& client) {
    return (client.find(':') == client.npos ? "PROXY TCP4 " + client + " 192.0.2.9" : "PROXY TCP6 " + client + " ::1") +
           " 51000 443\r\n";
}

TEST_F(ProxyProtocolTest, connections_are_bounded_by_the_client_that_is_announced) {
    proxy.config.proxy.max_connections_per_client = 1;
    start();
    const auto refused = [&] { return proxy.refused("max_connections_per_client"); };
    const auto status_for = [&](const std::string& address, Peer& client) {
        client.send(introduction_of(address) + get("/"));
        return client.read_response().status();
    };
    auto first = proxy.client(), second = proxy.client(), other = proxy.client();
    EXPECT_EQ(status_for("203.0.113.7", first), 200);
    EXPECT_EQ(status_for("203.0.113.8", other), 200) << "the balancer that they share is not the client";
    second.send(introduction_of("203.0.113.7") + get("/"));
    const auto answer = second.read_response();
    EXPECT_EQ(answer.status(), 503);
    EXPECT_EQ(answer.field("x-plimsoll-reason"), "max_connections_per_client");
    EXPECT_TRUE(second.ended());
    EXPECT_EQ(refused(), 1u);

    auto six = proxy.client(), neighbour = proxy.client();
    EXPECT_EQ(status_for("2001:db8::1", six), 200);
    EXPECT_EQ(status_for("2001:db8::2", neighbour), 503) << "one client has a whole /64";
    EXPECT_EQ(refused(), 2u);

    first.close(); // and gives its place back
    EXPECT_TRUE(eventually([&] {
        auto again = proxy.client();
        return status_for("203.0.113.7", again) == 200;
    }));
}

TEST_F(ProxyProtocolTest, a_client_that_nobody_announces_has_no_bound_of_its_own) {
    proxy.config.proxy.max_connections_per_client = 1;
    start();
    std::vector<Peer> balancers; // they look whether we are alive
    for (int i = 0; i < 3; ++i) {
        balancers.push_back(proxy.client());
        balancers.back().send("PROXY UNKNOWN\r\n" + get("/"));
        EXPECT_EQ(balancers.back().read_response().status(), 200);
    }
}

} // namespace
} // namespace plimsoll::net::testing
