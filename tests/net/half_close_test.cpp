// A client that finishes writing and waits: an answer where its request was whole, a 400 where it was not. Never silence.
#include <gtest/gtest.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "proxy.hpp"

namespace plimsoll::net::testing {
namespace {

using std::chrono::milliseconds;

std::string chunked(const std::string& body) {
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", body.size());
    const auto chunk = body.empty() ? "" : size + body + "\r\n";
    return "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + "0\r\n\r\n";
}

// A worker that takes its time: longer than a new client goes unwatched.
void slow(Peer& peer) {
    for (Message request; (request = peer.read_request()).complete;) {
        std::this_thread::sleep_for(milliseconds{30});
        const auto size = std::to_string(request.body.size());
        if (!peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size.size()) + "\r\n\r\n" + size)) return;
    }
}

struct Kind {
    const char* name;
    bool streamed, reused;
};
class HalfClose : public ::testing::TestWithParam<Kind> {
protected:
    HalfClose() : origin(slow) {
        proxy.config.routes[0].stream = GetParam().streamed;
        proxy.add_worker(origin.address(), 1);
        proxy.start();
    }
    Peer client() {
        auto client = proxy.client();
        if (!GetParam().reused) return client;
        client.send(get());
        EXPECT_EQ(client.read_response().status(), 200);
        return client;
    }
    // The last bytes wait for the end (TCP_CORK), so that a busy machine does not tear them apart.
    static void send_and_finish(Peer& client, const std::string& request) {
        const int on = 1;
        ::setsockopt(client.fd(), IPPROTO_TCP, TCP_CORK, &on, sizeof on);
        client.send(request);
        client.finish_writing();
    }
    static Message answer_to(Peer& client, const std::string& request) {
        send_and_finish(client, request);
        return client.read_response();
    }
    Origin origin;
    Proxy proxy;
};

TEST_P(HalfClose, behind_a_whole_request_is_no_reason_not_to_answer) {
    for (const std::size_t size : {0, 1'000, 300'000, 3'000'000}) {
        const std::string body(size, 'b');
        for (const auto& request : {post("/", body), chunked(body)}) {
            auto peer = client();
            const auto answer = answer_to(peer, request);
            EXPECT_EQ(answer.status(), 200) << size;
            EXPECT_EQ(answer.body, std::to_string(size));
            EXPECT_TRUE(peer.ended());
        }
    }
}

TEST_P(HalfClose, in_the_middle_of_a_body_is_told_as_400) {
    for (const std::size_t size : {1'000, 300'000, 3'000'000}) {
        const std::string body(size, 'b');
        for (const auto& request : {post("/", body), chunked(body)}) {
            auto peer = client();
            const auto answer = answer_to(peer, request.substr(0, request.size() - size / 2));
            EXPECT_EQ(answer.status(), 400) << size;
            EXPECT_EQ(answer.field("x-plimsoll-reason"), "incomplete");
            EXPECT_TRUE(peer.ended());
        }
    }
    EXPECT_EQ(proxy.in_flight(), 0u);
}

TEST_P(HalfClose, behind_pipelined_requests_answers_them_all) {
    auto peer = client();
    send_and_finish(peer, get() + post("/", "four") + get());
    for (const auto* body : {"0", "4", "0"}) EXPECT_EQ(peer.read_response().body, body);
    EXPECT_TRUE(peer.ended());
}

INSTANTIATE_TEST_SUITE_P(Clients, HalfClose,
                         ::testing::Values(Kind{"new_buffered", false, false}, Kind{"new_streamed", true, false},
                                           Kind{"kept_buffered", false, true}, Kind{"kept_streamed", true, true}),
                         [](const auto& info) { return info.param.name; });

TEST(HalfCloseInTheQueue, keeps_its_place_behind_a_whole_request_and_is_told_as_400_in_the_middle_of_one) {
    for (const bool streamed : {false, true}) {
        std::atomic<bool> release = false;
        Origin origin([&](Peer& peer) {
            for (Message request; (request = peer.read_request()).complete;) {
                eventually([&] { return release.load(); });
                const auto size = std::to_string(request.body.size());
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size.size()) + "\r\n\r\n" + size);
            }
        });
        Proxy proxy;
        proxy.config.routes[0].stream = streamed;
        proxy.add_worker(origin.address(), 1);
        proxy.start();
        auto first = proxy.client(), whole = proxy.client(), half = proxy.client();
        first.send(get());
        ASSERT_TRUE(eventually([&] { return proxy.in_flight() == 1; }));
        const auto request = post("/", std::string(40'000, 'q'));
        whole.send(request);
        whole.finish_writing();
        ASSERT_TRUE(eventually([&] { return proxy.queued() == 1; }));
        half.send(request.substr(0, 30'000));
        half.finish_writing();
        EXPECT_EQ(half.read_response().status(), 400);
        release = true;
        EXPECT_EQ(first.read_response().status(), 200);
        EXPECT_EQ(whole.read_response().body, "40000");
    }
}

TEST(HalfCloseOfAStream, is_noticed_while_the_worker_takes_nothing) {
    std::atomic<bool> asked = false, told = false;
    Origin origin([&](Peer& peer) {
        peer.read_some(1);
        asked = true;
        eventually([&] { return told.load(); });
    });
    Proxy proxy;
    proxy.config.routes[0].stream = true;
    const auto key = proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto client = proxy.client();
    const auto request =
        "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100000000\r\n\r\n" + std::string(50'000, 'b');
    client.send(request);
    ASSERT_TRUE(eventually([&] { return asked.load(); }));
    client.close();
    EXPECT_TRUE(eventually([&] { return proxy.worker(key).finished[static_cast<int>(Outcome::abandoned)] == 1; }));
    told = true;
}

} // namespace
} // namespace plimsoll::net::testing
