#include <gtest/gtest.h>

#include "proxy.hpp"

namespace plimsoll::net::testing {
namespace {

class EitherSocket : public ::testing::TestWithParam<bool> {};

TEST_P(EitherSocket, requests_follow_each_other_on_one_connection_at_both_ends) {
    Origin origin(echo, GetParam());
    Proxy proxy;
    proxy.config.proxy.threads = 1;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    for (int i = 0; i < 50; ++i) {
        ASSERT_TRUE(client.send(get("/a" + std::to_string(i))));
        auto answer = client.read_response();
        ASSERT_EQ(answer.status(), 200);
        EXPECT_EQ(answer.body, "GET /a" + std::to_string(i) + " ");
        const std::string body(static_cast<std::size_t>(i) * 4000, 'x');
        ASSERT_TRUE(client.send(post("/b", body)));
        answer = client.read_response();
        ASSERT_EQ(answer.status(), 200);
        EXPECT_EQ(answer.body, "POST /b " + body);
    }
    EXPECT_EQ(origin.connections(), 1);
    EXPECT_EQ(proxy.server().stats().connections_total, 1u);
    EXPECT_EQ(proxy.server().stats().upstream_reuses, 99u);
}
INSTANTIATE_TEST_SUITE_P(upstream, EitherSocket, ::testing::Values(false, true),
                         [](const auto& info) { return info.param ? "unix_socket" : "tcp"; });

// For a worker that closes after each answer without saying so: a request that cannot be sent twice would be lost.
TEST(Keepalive, with_an_idle_time_of_zero_no_connection_to_a_worker_is_used_twice) {
    std::atomic<int> asked_to_close = 0;
    Origin origin([&](Peer& peer) {
        const auto request = peer.read_request();
        asked_to_close += request.field("connection") == "close";
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        if (!peer.read_request().complete) return; // or it would be answered
        peer.send("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
    });
    Proxy proxy;
    proxy.config.proxy.threads = 1;
    proxy.config.pools[0].upstream.idle_timeout = Duration::zero();
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    for (int i = 0; i < 20; ++i) {
        client.send(post("/", "once") + post("/", "and once more"));
        EXPECT_EQ(client.read_response().status(), 200);
        EXPECT_EQ(client.read_response().status(), 200);
    }
    EXPECT_EQ(origin.connections(), 40);
    EXPECT_EQ(asked_to_close, 40);
}

// What was read of it last filled the room for it exactly: nobody knows then that nothing follows.
// Some clients send an empty line behind a body (RFC 9112, 2.2). Where it is cut is chance.
TEST(Keepalive, an_empty_line_between_requests_may_come_in_pieces) {
    Origin origin(echo);
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    for (const std::string lines : {"\r\n", "\r\n\r\n"})
        for (std::size_t cut = 0; cut <= lines.size(); ++cut)
            for (const bool with_body : {true, false}) {
                SCOPED_TRACE(std::to_string(lines.size()) + " bytes, cut at " + std::to_string(cut));
                const auto before = lines.substr(0, cut), after = lines.substr(cut);
                auto client = proxy.client();
                client.send(post("/1", "body") + (with_body ? before : ""));
                ASSERT_EQ(client.read_response().body, "POST /1 body");
                if (!with_body && !before.empty()) {
                    client.send(before);
                    ASSERT_TRUE(client.was_read());
                }
                client.send(after + get("/2"));
                EXPECT_EQ(client.read_response().body, "GET /2 ");
            }
    auto client = proxy.client();
    client.send(post("/1", "body") + "\r");
    ASSERT_EQ(client.read_response().status(), 200);
    client.send(get("/2"));
    EXPECT_EQ(client.read_response().status(), 400) << "that was no empty line";
}

TEST(Keepalive, empty_lines_are_no_sign_of_life_of_a_client_at_rest) {
    for (const bool stops : {false, true}) {
        Origin origin(echo);
        Proxy proxy;
        proxy.config.listeners[0].idle_timeout = stops ? std::chrono::seconds{60} : std::chrono::seconds{1};
        proxy.add_worker(origin.address());
        proxy.start();
        auto client = proxy.client();
        client.send(get());
        EXPECT_EQ(client.read_response().status(), 200);
        std::atomic<bool> over = false;
        std::thread drip([&] {
            while (!over && client.send("\r\n")) std::this_thread::sleep_for(std::chrono::milliseconds{50});
        });
        if (stops) {
            EXPECT_TRUE(proxy.stop(patience));
            EXPECT_EQ(proxy.server().stats().cut_connections, 0u) << "it took the whole of the bound";
        } else {
            EXPECT_TRUE(client.ended());
        }
        over = true;
        drip.join();
    }
}

TEST(Keepalive, half_an_empty_line_is_no_request_that_began) {
    Origin origin(echo);
    Proxy proxy;
    proxy.config.listeners[0].idle_timeout = std::chrono::milliseconds{100};
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(post("/1", "body") + "\r");
    ASSERT_EQ(client.read_response().status(), 200);
    EXPECT_TRUE(client.ended()) << "without a word";
}

TEST(Keepalive, a_client_may_rest_behind_a_large_body_as_long_as_behind_any_other_request) {
    Origin origin(echo);
    Proxy proxy;
    proxy.config.listeners[0].header_timeout = std::chrono::milliseconds{200};
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    for (const std::size_t size : {0, 100, 100'000, 1'000'000}) {
        std::thread writer([&] { client.send(post("/", std::string(size, 'b'))); });
        EXPECT_EQ(client.read_response().status(), 200);
        writer.join();
        EXPECT_TRUE(client.silent_for(std::chrono::milliseconds{500})) << size;
    }
}

} // namespace
} // namespace plimsoll::net::testing
