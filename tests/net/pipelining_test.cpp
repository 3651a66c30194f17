// Requests that a client sends before the one in work is answered.
#include <gtest/gtest.h>

#include "proxy.hpp"

namespace plimsoll::net::testing {
namespace {

constexpr std::size_t first_read = 8 << 10, largest_read = 80 << 10; // the latter of a client that sends bodies

class Pipelining : public ::testing::Test {
protected:
    Pipelining()
        : origin([this](Peer& peer) {
              while (peer.read_request().complete) {
                  eventually([this] { return !held_up; });
                  peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
              }
          }) {
        proxy.config.proxy.threads = 1;
        proxy.add_worker(origin.address());
    }
    // One that is known to send bodies: more is read at once of such.
    Peer sender() {
        auto client = proxy.client();
        client.send(post("/", "body"));
        EXPECT_EQ(client.read_response().status(), 200);
        return client;
    }
    std::uint64_t buffered() { return proxy.server().stats().buffered_bytes; }

    std::atomic<bool> held_up = false;
    Origin origin;
    Proxy proxy;
};

std::string many(std::size_t bytes) {
    std::string requests;
    while (requests.size() < bytes) requests += get();
    return requests;
}

TEST_F(Pipelining, what_a_client_sends_ahead_counts_among_the_buffers_until_it_is_used) {
    proxy.start();
    auto client = sender();
    held_up = true;
    const auto requests = many(70'000);
    std::thread writer([&] { client.send(requests); });
    EXPECT_TRUE(eventually([&] { return buffered() > 2'000; }));
    EXPECT_LE(buffered(), largest_read);
    held_up = false;
    const auto each = get().size();
    for (std::size_t i = 0; i < requests.size() / each; ++i) ASSERT_EQ(client.read_response().body, "ok") << i;
    EXPECT_TRUE(eventually([&] { return buffered() == 0; }));
    writer.join();
}

TEST_F(Pipelining, who_sends_a_byte_of_a_large_body_takes_no_room_for_all_of_it) {
    proxy.start();
    auto client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n");
    ASSERT_EQ(client.read_response().status(), 100);
    client.send("x");
    ASSERT_TRUE(eventually([&] { return buffered() > 0; }));
    EXPECT_LE(buffered(), 4U << 10);
}

TEST_F(Pipelining, where_the_buffers_are_full_no_more_is_read_ahead_than_a_head_may_need) {
    const auto filling = proxy.start_with_full_buffers();
    auto client = sender();
    held_up = true;
    const auto requests = many(70'000);
    std::thread writer([&] { client.send(requests); });
    ASSERT_TRUE(eventually([&] { return proxy.in_flight() == 1; }));
    EXPECT_TRUE(eventually([&] { return buffered() > (16U << 10); }));
    EXPECT_LE(buffered(), (16u << 10) + first_read);
    held_up = false;
    const auto each = get().size();
    for (std::size_t i = 0; i < requests.size() / each; ++i) ASSERT_EQ(client.read_response().body, "ok") << i;
    writer.join();
}

} // namespace
} // namespace plimsoll::net::testing
