// The gate's policies as clients and workers meet them.
#include <gtest/gtest.h>

#include "proxy.hpp"

namespace plimsoll::net::testing {
namespace {

using std::chrono::milliseconds;

// Answers each request with what `status` says at that moment.
Origin::Script answering(std::atomic<int>& status) {
    return [&status](Peer& peer) {
        while (peer.read_request().complete)
            peer.send("HTTP/1.1 " + std::to_string(status.load()) + " X\r\nContent-Length: 2\r\n\r\nok");
    };
}

TEST(Breaker, a_worker_that_fails_alone_is_passed_over) {
    std::atomic<int> good = 200, bad = 500;
    Origin first(answering(good)), second(answering(bad));
    Proxy proxy;
    proxy.config.pools[0].breaker.rest = std::chrono::hours{1};
    proxy.config.pools[0].breaker.longest_rest = std::chrono::hours{1};
    proxy.add_worker(first.address());
    const auto failing = proxy.add_worker(second.address());
    proxy.start();
    auto client = proxy.client();
    // Which of the two idle workers is asked is chance, so ask until the breaker has seen enough.
    EXPECT_TRUE(eventually([&] {
        client.send(get());
        client.read_response();
        return proxy.pool->breaker(failing).state == Breaker::State::tripped;
    }));
    for (int i = 0; i < 20; ++i) {
        client.send(get());
        EXPECT_EQ(client.read_response().status(), 200);
    }
    EXPECT_EQ(proxy.pool->breaker(failing).trips, 1U);
}

TEST(Breaker, a_worker_that_asks_for_a_pause_is_not_probed_before_it_is_over) {
    std::atomic<int> good = 200, asked = 0;
    Origin first(answering(good)), second([&asked](Peer&peer) {
        while (peer.read_request().complete) {
            ++asked;
            peer.send("HTTP/1.1 503 X\r\nRetry-After: 3600\r\nContent-Length: 2\r\n\r\nno");
        }
    });
    Proxy proxy;
    proxy.config.pools[0].breaker.rest = milliseconds{10}; // its own word is what keeps us away
    proxy.config.pools[0].breaker.longest_rest = std::chrono::hours{1};
    proxy.add_worker(first.address());
    const auto failing = proxy.add_worker(second.address());
    proxy.start();
    auto client = proxy.client();
    EXPECT_TRUE(eventually([&] {
        client.send(get());
        client.read_response();
        return proxy.pool->breaker(failing).state == Breaker::State::tripped;
    }));
    const int before = asked;
    const auto twenty_rests = Clock::now() + milliseconds{200};
    while (Clock::now() < twenty_rests) {
        client.send(get());
        EXPECT_EQ(client.read_response().status(), 200);
    }
    EXPECT_EQ(asked, before);
}

TEST(Deadline, a_client_that_waits_no_longer_is_told_so_and_costs_no_worker) {
    Origin origin([](Peer& peer) {
        peer.read_request();
        peer.read_some();
    });
    Proxy proxy;
    const auto worker = proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto first = proxy.client(), second = proxy.client();
    first.send(get());
    ASSERT_TRUE(eventually([&] { return proxy.in_flight() == 1; }));
    second.send(get("/", "X-Request-Timeout: 0.1\r\n"));
    const auto answer = second.read_response();
    EXPECT_EQ(answer.status(), 503);
    EXPECT_EQ(answer.field("x-plimsoll-reason"), "deadline");
    EXPECT_EQ(proxy.worker(worker).admitted, 1U);
    first.close();
}

// Two wait; the one that came later is critical, if whoever says so is believed.
std::string served_first(bool trusted) {
    std::atomic<bool> go = false;
    Origin origin([&](Peer& peer) {
        const auto request = peer.read_request();
        eventually([&] { return go.load(); });
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    Proxy proxy;
    proxy.config.proxy.priority_header = "X-Priority";
    if (trusted) proxy.config.proxy.trusted_proxies = {"127.0.0.1"};
    proxy.add_worker(origin.address(), 1, false);
    proxy.start();
    auto busy = proxy.client(), early = proxy.client(), late = proxy.client();
    busy.send(get());
    EXPECT_TRUE(eventually([&] { return proxy.in_flight() == 1; }));
    early.send(get());
    EXPECT_TRUE(eventually([&] { return proxy.queued() == 1; }));
    late.send(get("/", "X-Priority: critical\r\n"));
    EXPECT_TRUE(eventually([&] { return proxy.queued() == 2; }));
    const auto critical = proxy.pool->stats().queued[index(Priority::critical)];
    go = true;
    for (Peer* each : {&busy, &early, &late}) EXPECT_EQ(each->read_response().status(), 200);
    return critical == 1 ? "late" : "early";
}

TEST(QueueTime, is_counted_by_priority_of_those_who_had_to_wait) {
    std::atomic<bool> go = false;
    Origin origin([&](Peer& peer) {
        peer.read_request();
        eventually([&] { return go.load(); });
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    Proxy proxy;
    proxy.config.proxy.priority_header = "X-Priority";
    proxy.config.proxy.trusted_proxies = {"127.0.0.1"};
    proxy.add_worker(origin.address(), 1, false);
    proxy.start();
    auto served = proxy.client(), granted = proxy.client(), refused = proxy.client();
    served.send(get());
    ASSERT_TRUE(eventually([&] { return proxy.in_flight() == 1; }));
    granted.send(get("/", "X-Priority: critical\r\n"));
    refused.send(get("/", "X-Request-Timeout: 1\r\n"));
    ASSERT_TRUE(eventually([&] { return proxy.queued() == 2; }));
    const auto queued = proxy.server().stats().gates.at(0).queued;
    EXPECT_EQ(queued, (std::array<std::size_t, priorities>{1, 1, 0}));
    EXPECT_EQ(refused.read_response().status(), 503);
    go = true;
    for (Peer* each : {&served, &granted}) EXPECT_EQ(each->read_response().status(), 200);
    const auto queue = proxy.server().stats().queues.at(0);
    EXPECT_EQ(queue.pool, "app");
    const auto& [critical, normal, sheddable] = queue.seconds;
    EXPECT_EQ(critical.count, 1U) << "who was served at once has not waited";
    EXPECT_EQ(normal.count, 1U) << "whatever became of him";
    EXPECT_EQ(sheddable.count, 0U);
    for (const auto* waits : {&critical, &normal}) {
        EXPECT_GT(waits->sum_seconds, 0.05);
        EXPECT_LT(waits->sum_seconds, 10);
    }
    EXPECT_EQ(queue.left, 0U);
}

// Django and others mark long answers so that no proxy holds them back: they end all the same.
TEST(ServiceTime, is_learned_of_answers_that_are_not_buffered_and_of_no_streams) {
    for (const auto& [field, learned] :
         {std::pair{"X-Accel-Buffering: no", true}, {"Content-Type: text/event-stream", false}}) {
        Origin origin([&](Peer& peer) {
            peer.read_request();
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n" + std::string(field) +
                      "\r\n\r\n");
            peer.send("1");
        });
        Proxy proxy;
        proxy.add_worker(origin.address(), 1, false);
        proxy.start();
        auto client = proxy.client();
        client.send(get());
        EXPECT_EQ(client.read_response().status(), 200);
        ASSERT_TRUE(eventually([&] { return proxy.in_flight() == 0; }));
        EXPECT_EQ(proxy.pool->stats().service_time > Duration::zero(), learned) << field;
    }
}

TEST(PriorityHeader, only_a_trusted_proxy_may_raise_a_request) {
    EXPECT_EQ(served_first(true), "late");
    EXPECT_EQ(served_first(false), "early");
}

} // namespace
} // namespace plimsoll::net::testing
