// Clients that leave, dawdle, attack, or come in numbers.
#include <gtest/gtest.h>

#include "proxy.hpp"

namespace plimsoll::net::testing {
namespace {

using std::chrono::milliseconds;

constexpr auto abandoned = static_cast<int>(Outcome::abandoned);

TEST(Client, one_that_leaves_while_the_worker_thinks_frees_the_slot_and_ends_the_upstream_connection) {
    std::atomic<bool> asked = false, told = false;
    Origin origin([&](Peer& peer) {
        peer.read_request();
        asked = true;
        told = peer.ended();
    });
    Proxy proxy;
    const auto key = proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto client = proxy.client();
    client.send(get());
    ASSERT_TRUE(eventually([&] { return asked.load(); }));
    hang_up(client);
    EXPECT_TRUE(eventually([&] { return told.load(); }));
    EXPECT_TRUE(eventually([&] { return proxy.worker(key).finished[abandoned] == 1; }));
    EXPECT_TRUE(eventually([&] { return proxy.server().stats().client_aborts == 1; }));
}

// Of one slot: the second request must not lie in the backlog of a worker that is still busy with the first.
class Busy : public ::testing::Test {
protected:
    Busy() {
        proxy.config.pools[0].upstream.response_timeout = milliseconds{300};
        proxy.config.pools[0].queue.timeout = milliseconds{20'000};
    }
    void start(unsigned slots) {
        key = proxy.add_worker(origin.address(), slots);
        proxy.start();
    }
    void one_is_late() {
        auto client = proxy.client();
        client.send(get());
        EXPECT_EQ(client.read_response().status(), 504);
    }
    std::atomic<int> asked = 0;
    std::atomic<bool> done = false;
    Origin origin{[this](Peer& peer) {
        if (!peer.read_request().complete) return;
        if (asked++ == 0) eventually([&] { return done.load(); });
        peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    }};
    Proxy proxy;
    WorkerKey key = 0;
};

TEST_F(Busy, a_worker_that_its_client_left_has_no_free_slot_before_it_is_done) {
    proxy.config.pools[0].upstream.response_timeout = milliseconds{20'000};
    start(1);
    auto first = proxy.client();
    first.send(get());
    ASSERT_TRUE(eventually([&] { return asked == 1; }));
    hang_up(first);
    EXPECT_TRUE(eventually([&] { return proxy.server().stats().upstream_unheard == 1; }));
    auto second = proxy.client();
    second.send(get());
    EXPECT_TRUE(eventually([&] { return proxy.queued() == 1; }));
    EXPECT_EQ(asked, 1);
    done = true;
    EXPECT_EQ(second.read_response().status(), 200);
    EXPECT_EQ(proxy.worker(key).finished[abandoned], 1u);
    EXPECT_EQ(proxy.server().stats().upstream_unheard, 0u);
}

TEST_F(Busy, a_worker_that_answers_too_late_has_no_free_slot_before_it_is_done) {
    start(1);
    one_is_late();
    auto second = proxy.client();
    second.send(get());
    EXPECT_TRUE(eventually([&] { return proxy.queued() == 1; }));
    done = true;
    EXPECT_EQ(second.read_response().status(), 200) << "it did not wait in the worker until it was too late as well";
}

TEST_F(Busy, a_worker_that_is_never_done_is_tried_again_after_another_timeout) {
    start(1);
    one_is_late();
    auto second = proxy.client();
    second.send(get());
    EXPECT_TRUE(eventually([&] { return asked == 2; }));
    done = true;
}

TEST_F(Busy, a_request_that_its_client_left_is_under_way_until_the_worker_is_done) {
    proxy.config.pools[0].upstream.response_timeout = milliseconds{20'000};
    config::Limit limit;
    limit.inflight = 1;
    proxy.config.routes[0].limits = {limit};
    start(2);
    auto first = proxy.client();
    first.send(get());
    ASSERT_TRUE(eventually([&] { return asked == 1; }));
    hang_up(first);
    ASSERT_TRUE(eventually([&] { return proxy.server().stats().upstream_unheard == 1; }));
    auto second = proxy.client();
    second.send(get());
    EXPECT_EQ(second.read_response().field("x-plimsoll-reason"), "inflight");
    done = true;
    EXPECT_TRUE(eventually([&] {
        second.send(get());
        return second.read_response().status() == 200;
    }));
}

TEST_F(Busy, a_worker_whose_slots_are_learned_notices_who_leaves) {
    start(0);
    one_is_late();
    EXPECT_EQ(proxy.server().stats().upstream_unheard, 0u);
    done = true;
}

// An ASGI server hangs up at once on a connection that ends, and its application goes on all the same.
TEST(Client, whose_request_may_need_much_memory_leaves_it_to_the_worker_until_that_is_done) {
    std::atomic<bool> asked = false, done = false, told = false;
    Origin origin([&](Peer& peer) {
        if (!peer.read_request().complete) return;
        asked = true;
        eventually([&] { return done || (told = peer.ended(milliseconds{10})); });
        if (!told) peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    });
    Proxy proxy;
    proxy.config.pools[0].upstream.response_timeout = milliseconds{20'000};
    const auto key = proxy.add_worker(origin.address(), 0); // whose slots are learned: others are told, and hold none
    proxy.start();
    proxy.pool->observe(key, 0.2, MemorySight{25_MiB, 600_MiB, {}}); // what is not known yet may need too much of it
    auto client = proxy.client();
    client.send(get());
    ASSERT_TRUE(eventually([&] { return asked.load(); }));
    hang_up(client);
    ASSERT_TRUE(eventually([&] { return proxy.server().stats().upstream_unheard == 1; }));
    EXPECT_EQ(proxy.pool->in_flight(key), 1u);
    done = true;
    EXPECT_TRUE(eventually([&] { return proxy.pool->in_flight(key) == 0; }));
    EXPECT_EQ(proxy.worker(key).finished[abandoned], 1u);
    EXPECT_FALSE(told);
}

TEST(Client, thirty_that_listen_to_event_streams_keep_nobody_from_a_worker_whose_slots_are_learned) {
    std::atomic<bool> over = false;
    std::atomic<int> ended = 0;
    Origin origin([&](Peer& peer) {
        if (!peer.read_request().head.starts_with("GET /events")) {
            peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
            return;
        }
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
        eventually([&] { return over.load(); });
        ++ended;
    });
    Proxy proxy;
    const auto key = proxy.add_worker(origin.address(), 0);
    proxy.start();
    std::vector<Peer> listeners;
    for (int i = 0; i < 30; ++i) {
        listeners.push_back(proxy.client());
        listeners.back().send(get("/events"));
        EXPECT_TRUE(listeners.back().read_some().starts_with("HTTP/1.1 200")) << i;
    }
    auto client = proxy.client();
    client.send(get());
    EXPECT_EQ(client.read_response().status(), 200);
    EXPECT_EQ(proxy.pool->streams(key), 30u);
    over = true;
    EXPECT_TRUE(eventually([&] { return proxy.pool->in_flight(key) == 0; }));
}

TEST(Client, one_that_leaves_lets_the_worker_finish_where_that_is_asked_for) {
    for (const bool large : {false, true}) {
        std::atomic<bool> asked = false, left = false, taken = false;
        Origin origin([&](Peer& peer) {
            peer.read_request();
            asked = true;
            eventually([&] { return left.load(); });
            const std::string body(large ? 5'000'000 : 100, 'x');
            const bool sent =
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
            EXPECT_TRUE(sent || taken); // the last request is answered on another connection, which the end may cut
            taken = peer.read_request().complete; // the connection was kept
        });
        Proxy proxy;
        proxy.config.proxy.threads = 1;
        proxy.config.pools[0].upstream.finish_abandoned = true;
        const auto key = proxy.add_worker(origin.address(), 1);
        proxy.start();
        auto client = proxy.client();
        client.send(post("/", "once"));
        ASSERT_TRUE(eventually([&] { return asked.load(); }));
        client.reset();
        left = true;
        EXPECT_TRUE(eventually([&] { return proxy.worker(key).finished[static_cast<int>(Outcome::success)] == 1; }));
        EXPECT_EQ(proxy.worker(key).finished[abandoned], 0u);
        EXPECT_TRUE(eventually([&] { return proxy.server().stats().client_aborts == 1; }));
        client = proxy.client();
        client.send(get());
        EXPECT_TRUE(eventually([&] { return taken.load(); }));
    }
}

TEST(Client, one_that_finished_writing_late_gets_its_answer_where_the_worker_may_finish) {
    std::atomic<bool> asked = false, go = false;
    Origin origin([&](Peer& peer) {
        peer.read_request();
        asked = true;
        eventually([&] { return go.load(); });
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    Proxy proxy;
    proxy.config.pools[0].upstream.finish_abandoned = true;
    proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto client = proxy.client();
    client.send(get());
    ASSERT_TRUE(eventually([&] { return asked.load(); }));
    client.finish_writing();
    go = true;
    EXPECT_EQ(client.read_response().body, "ok");
    EXPECT_TRUE(client.ended());
}

TEST(Client, one_that_leaves_while_it_waits_in_the_queue_never_reaches_a_worker) {
    std::atomic<bool> release = false;
    std::atomic<int> requests = 0;
    Origin origin([&](Peer& peer) {
        while (peer.read_request().complete) {
            ++requests;
            eventually([&] { return release.load(); });
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
    Proxy proxy;
    proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto first = proxy.client();
    first.send(get());
    ASSERT_TRUE(eventually([&] { return requests == 1; }));
    auto second = proxy.client();
    second.send(get());
    ASSERT_TRUE(eventually([&] { return proxy.queued() == 1; }));
    hang_up(second);
    EXPECT_TRUE(eventually([&] { return proxy.queued() == 0; }));
    EXPECT_TRUE(eventually([&] { return proxy.server().stats().queues.at(0).left == 1; }));
    release = true;
    EXPECT_EQ(first.read_response().status(), 200);
    EXPECT_EQ(requests, 1);
}

// Answers every request with the body, as it is then.
auto answering(const std::string& body) {
    return [&body](Peer& peer) {
        while (peer.read_request().complete)
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    };
}

TEST(Client, a_slow_reader_does_not_hold_the_slot) {
    const std::string body(20'000'000, 'r');
    Origin origin(answering(body));
    Proxy proxy;
    const auto key = proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto client = proxy.client();
    client.small_window();
    client.send(get());
    ASSERT_TRUE(eventually([&] { return proxy.worker(key).finished[0] == 1; })) << "the worker waits for the client";
    EXPECT_EQ(proxy.in_flight(), 0u);
    const auto answer = client.read_response();
    EXPECT_TRUE(answer.complete);
    EXPECT_TRUE(answer.body == body);
}

// Its end may lie in the outbox or in a pipe: that depends on how much the kernel takes.
TEST(Client, what_waits_for_a_slow_reader_counts_as_buffered_and_is_given_back) {
    std::string body;
    Origin origin(answering(body));
    Proxy proxy;
    proxy.config.proxy.body_memory = Bytes{16 << 20}; // none of it goes to a file
    const auto key = proxy.add_worker(origin.address(), 1);
    proxy.start();
    constexpr std::uint64_t kernels = 4'500'000; // what its buffers take of one connection, by their usual bounds
    std::uint64_t answers = 0;
    for (std::size_t size = 500'000; size <= 8'000'000; size += 250'000) {
        body.assign(size, 'p');
        auto client = proxy.client();
        client.small_window();
        client.send(get());
        ++answers;
        ASSERT_TRUE(eventually([&] { return proxy.worker(key).finished[0] == answers; })) << size;
        EXPECT_LT(size, proxy.server().stats().buffered_bytes + kernels);
        ASSERT_TRUE(client.read_response().body == body) << size;
        ASSERT_TRUE(eventually([&] { return proxy.server().stats().buffered_bytes == 0; })) << size;
    }
}

// A request's body is kept for another attempt, and no longer: its client may read the answer for hours.
class Uploaded : public ::testing::Test {
protected:
    Uploaded() {
        proxy.config.proxy.threads = 1;
        proxy.config.proxy.body_memory = Bytes{64 << 20}; // none of it goes to a file
        proxy.config.listeners[0].max_body = Bytes{64 << 20};
    }
    static std::string put(const std::string& body, const std::string& more = "") {
        std::string request = post("/", body, more);
        return request.replace(0, 4, "PUT");
    }
    std::uint64_t buffered() { return proxy.server().stats().buffered_bytes; }
    const std::string body = std::string(8'000'000, 'b');
    Proxy proxy;
};

TEST_F(Uploaded, a_body_is_given_back_when_the_answer_has_begun) {
    std::atomic<bool> released = false;
    Origin origin([&](Peer& peer) {
        peer.read_request();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n");
        eventually([&] { return released.load(); });
        peer.send("0\r\n\r\n");
    });
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(put(body));
    EXPECT_NE(client.read_some().find("begun"), std::string::npos);
    EXPECT_TRUE(eventually([&] { return buffered() == 0; })) << buffered();
    released = true;
    EXPECT_NE(client.read_some().find("0\r\n\r\n"), std::string::npos);
}

TEST_F(Uploaded, its_file_leaves_its_room_to_others_as_soon) {
    proxy.config.proxy.body_memory = Bytes{16 << 10};
    proxy.config.proxy.buffer_files = Bytes{10 << 20};
    std::atomic<bool> released = false;
    Origin origin([&](Peer& peer) {
        peer.read_request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegun");
        eventually([&] { return released.load(); });
        peer.send("ended");
    });
    proxy.add_worker(origin.address());
    proxy.start();
    auto first = proxy.client(), second = proxy.client();
    for (auto* client : {&first, &second}) {
        client->send(put(body));
        EXPECT_NE(client->read_some().find("begun"), std::string::npos);
        EXPECT_TRUE(eventually([&] { return proxy.server().stats().buffered_file_bytes == 0; }));
    }
    released = true;
    EXPECT_EQ(first.read_some(), "ended");
    EXPECT_EQ(second.read_some(), "ended");
}

TEST_F(Uploaded, its_file_counts_against_the_limit_of_files_while_it_waits_for_a_worker) {
    proxy.config.proxy.body_memory = Bytes{16 << 10};
    proxy.config.proxy.buffer_memory = Bytes{5 << 20};
    proxy.config.proxy.buffer_files = Bytes{10 << 20};
    Origin origin(echo);
    const auto key = proxy.add_worker(origin.address());
    proxy.pool->accept(key, false);
    proxy.start();
    auto client = proxy.client();
    client.send(put(body));
    ASSERT_TRUE(eventually([&] { return proxy.queued() == 1; }));
    const auto stats = proxy.server().stats();
    EXPECT_GE(stats.buffered_file_bytes, body.size() - (1U << 20));
    EXPECT_LE(stats.buffered_file_bytes, body.size());
    EXPECT_EQ(stats.buffered_file_limit, 10U << 20);
    EXPECT_EQ(stats.buffered_limit, 5U << 20);
    proxy.pool->accept(key, true);
    EXPECT_EQ(client.read_response().status(), 200);
    EXPECT_TRUE(eventually([&] { return proxy.server().stats().buffered_file_bytes == 0; }));
}

TEST_F(Uploaded, what_a_worker_did_not_want_is_given_back_while_a_slow_client_reads_its_answer) {
    const std::string answer(8'000'000, 'a');
    std::atomic<bool> released = false;
    Origin origin([&](Peer& peer) {
        peer.small_window();
        peer.read_some(1000);
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n" + answer);
        eventually([&] { return released.load(); }); // who closes with bytes unread resets, and takes its answer back
    });
    const auto key = proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.small_window();
    client.send(post("/", std::string(40'000'000, 'b')));
    ASSERT_TRUE(eventually([&] { return proxy.worker(key).finished[0] == 1; }));
    EXPECT_GT(buffered(), 0U) << "the answer waits";
    EXPECT_LE(buffered(), answer.size() + (1 << 20));
    EXPECT_TRUE(client.read_response().body == answer);
    released = true;
}

TEST_F(Uploaded, a_body_that_nobody_took_is_given_back_before_its_client_is_told_so) {
    Origin origin(echo);
    origin.stop_listening();
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(put(body, "Connection: close\r\n"));
    EXPECT_EQ(client.read_response().status(), 502);
    // It is waited for its end, for as long as it goes on sending.
    EXPECT_TRUE(eventually([&] { return client.send("x") && buffered() == 0; })) << buffered();
    EXPECT_EQ(proxy.server().stats().connections_open, 1U);
}

TEST(Client, a_slow_reader_of_a_chunked_answer_does_not_hold_the_slot) {
    std::string bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", body;
    for (int i = 0; i < 2000; ++i) {
        const auto piece = std::string(10'000, static_cast<char>('a' + i % 26));
        bytes += "2710\r\n" + piece + "\r\n";
        body += piece;
    }
    bytes += "0\r\n\r\n";
    Origin origin([&](Peer& peer) {
        while (peer.read_request().complete) peer.send(bytes);
    });
    Proxy proxy;
    const auto key = proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto client = proxy.client();
    client.small_window();
    client.send(get());
    ASSERT_TRUE(eventually([&] { return proxy.worker(key).finished[0] == 1; }));
    const auto answer = client.read_response();
    EXPECT_TRUE(answer.complete);
    EXPECT_TRUE(answer.body == body);
}

TEST(Client, a_slow_sender_takes_no_slot_before_its_body_is_here) {
    Origin origin(echo);
    Proxy proxy;
    proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto slow = proxy.client();
    slow.send("POST /slow HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbo");
    ASSERT_TRUE(eventually([&] { return proxy.server().stats().buffered_bytes > 0; }));
    EXPECT_EQ(proxy.pool->stats().admitted, 0u);
    auto quick = proxy.client();
    quick.send(get("/quick"));
    EXPECT_EQ(quick.read_response().body, "GET /quick ");
    slow.send("dy");
    EXPECT_EQ(slow.read_response().body, "POST /slow body");
}

TEST(Client, a_large_answer_that_is_made_slowly_arrives_as_it_is_made) {
    std::atomic<int> sent = 0;
    std::atomic<int> wanted = 1;
    const std::string piece(70'000, 'p');
    Origin origin([&](Peer& peer) {
        peer.read_request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1400000\r\n\r\n");
        for (; sent < 20; ++sent) {
            eventually([&] { return wanted > sent; });
            peer.send(piece);
        }
        peer.read_request();
    });
    Proxy proxy;
    proxy.config.pools[0].upstream.read_timeout = milliseconds{500};
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(get());
    std::string came;
    for (; wanted <= 20; ++wanted) {
        while (came.size() < piece.size() * static_cast<std::size_t>(wanted)) {
            const auto some = client.read_some();
            ASSERT_FALSE(some.empty()) << "after " << came.size() << " bytes";
            came += some;
        }
    }
    EXPECT_TRUE(came.ends_with(piece));
}

TEST(Client, an_event_stream_arrives_event_by_event) {
    std::atomic<bool> more = false;
    Origin origin([&](Peer& peer) {
        peer.read_request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n8\r\ndata: "
                  "1\n\r\n");
        eventually([&] { return more.load(); });
        peer.send("8\r\ndata: 2\n\r\n0\r\n\r\n");
        peer.read_some();
    });
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(get());
    std::string seen;
    while (seen.find("data: 1") == std::string::npos) {
        const auto some = client.read_some();
        ASSERT_FALSE(some.empty());
        seen += some;
    }
    more = true;
    while (seen.find("0\r\n\r\n") == std::string::npos) {
        const auto some = client.read_some();
        ASSERT_FALSE(some.empty());
        seen += some;
    }
}

TEST(Client, a_listener_of_an_event_stream_that_leaves_is_noticed_between_events) {
    std::atomic<bool> told = false;
    Origin origin([&](Peer& peer) {
        peer.read_request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
        told = peer.ended();
    });
    Proxy proxy;
    const auto key = proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto client = proxy.client();
    client.send(get());
    client.read_some();
    hang_up(client);
    EXPECT_TRUE(eventually([&] { return told.load(); }));
    EXPECT_TRUE(eventually([&] { return proxy.worker(key).finished[abandoned] == 1; }));
}

TEST(Client, a_stream_is_paused_and_not_piled_up_when_the_client_is_slow) {
    std::atomic<std::size_t> sent = 0;
    Origin origin([&](Peer& peer) {
        peer.read_request();
        peer.send("HTTP/1.1 200 OK\r\nX-Accel-Buffering: no\r\n\r\n");
        const std::string piece(10'000, 's');
        while (sent < 50'000'000 && peer.send(piece)) sent += piece.size();
    });
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.small_window();
    client.send(get());
    std::size_t before = 1;
    ASSERT_TRUE(eventually([&] {
        const std::size_t now = sent;
        std::this_thread::sleep_for(milliseconds{50});
        return std::exchange(before, now) == sent && now > 0;
    }));
    EXPECT_LT(sent, 50'000'000u);
    EXPECT_LT(proxy.server().stats().buffered_bytes, 200'000u);
    client.close();
}

TEST(Client, one_that_expects_100_gets_it_before_it_sends_the_body) {
    Origin origin(echo);
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    for (int i = 0; i < 3; ++i) {
        client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
        EXPECT_EQ(client.read_response().status(), 100);
        client.send("body");
        const auto answer = client.read_response();
        EXPECT_EQ(answer.status(), 200);
        EXPECT_EQ(answer.body, "POST / body");
    }
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody");
    EXPECT_EQ(client.read_response().body, "POST / body"); // it did not wait: no 100 is owed
}

TEST(Client, a_refusal_comes_instead_of_100) {
    Origin origin(echo);
    Proxy proxy;
    proxy.config.listeners[0].max_body = {3};
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(client.read_response().status(), 413);
}

TEST(Client, more_connections_than_allowed_are_refused_and_counted) {
    std::atomic<bool> released = false;
    Origin origin(answers_once(released));
    Proxy proxy;
    proxy.config.proxy.max_connections = 3;
    proxy.add_worker(origin.address());
    proxy.start();
    std::vector<Peer> clients;
    for (int i = 0; i < 3; ++i) {
        clients.push_back(proxy.client());
        clients.back().send(get());
    }
    ASSERT_TRUE(eventually([&] { return proxy.in_flight() == 3; })) << "nobody rests";
    auto fourth = proxy.client();
    fourth.send(get());
    const auto answer = fourth.read_response();
    EXPECT_EQ(answer.status(), 503);
    EXPECT_EQ(answer.field("x-plimsoll-reason"), "max_connections");
    EXPECT_EQ(proxy.server().stats().connections_refused, 1u);
    released = true;
    for (auto& client : clients) EXPECT_EQ(client.read_response().status(), 200);
    clients.clear();
    ASSERT_TRUE(eventually([&] { return proxy.server().stats().connections_open == 0; }));
    auto fifth = proxy.client();
    fifth.send(get());
    EXPECT_EQ(fifth.read_response().status(), 200);
}

// One reactor, so that whoever rests is there for whoever comes.
struct FullTest : ::testing::Test {
    Origin origin{echo};
    Proxy proxy;
    std::vector<Peer> clients;

    void fill(unsigned most) {
        proxy.config.proxy.threads = 1;
        proxy.config.proxy.max_connections = most;
        proxy.add_worker(origin.address());
        proxy.start();
        for (unsigned i = 0; i < most; ++i) {
            clients.push_back(proxy.client());
            EXPECT_TRUE(served(clients.back())) << i;
        }
    }
    static bool served(Peer& client) {
        client.send(get());
        return client.read_response().status() == 200;
    }
    std::uint64_t evicted() { return proxy.server().stats().connections_evicted; }
};

TEST_F(FullTest, who_has_rested_longest_makes_way_for_a_new_client) {
    fill(3);
    EXPECT_TRUE(served(clients[0])) << "so the second one has rested longest";
    auto fourth = proxy.client();
    EXPECT_TRUE(served(fourth));
    EXPECT_TRUE(clients[1].ended());
    EXPECT_EQ(evicted(), 1U);
    EXPECT_EQ(proxy.server().stats().connections_refused, 0U);
    for (auto* each : {&clients[0], &clients[2], &fourth}) EXPECT_TRUE(served(*each));
    EXPECT_EQ(proxy.server().stats().connections_open, 3U);
}

TEST_F(FullTest, as_many_as_come_at_once) {
    fill(20);
    std::vector<Peer> more;
    for (int i = 0; i < 20; ++i) {
        more.push_back(proxy.client());
        more.back().send(get());
    }
    for (auto& each : more) EXPECT_EQ(each.read_response().status(), 200);
    for (auto& each : clients) EXPECT_TRUE(each.ended());
    EXPECT_EQ(evicted(), 20U);
    EXPECT_EQ(proxy.server().stats().connections_open, 20U);
}

TEST_F(FullTest, nobody_makes_way_for_a_client_that_has_as_many_connections_as_it_may) {
    proxy.config.proxy.max_connections_per_client = 3;
    fill(3);
    auto fourth = proxy.client();
    fourth.send(get());
    EXPECT_EQ(fourth.read_response().field("x-plimsoll-reason"), "max_connections_per_client");
    for (auto& each : clients) EXPECT_TRUE(served(each));
}

TEST_F(FullTest, who_has_begun_a_request_stays) {
    fill(2);
    clients[0].send("GET / HTTP/1.1\r\nHost: te");
    ASSERT_TRUE(clients[0].was_read());
    auto third = proxy.client();
    EXPECT_TRUE(served(third));
    EXPECT_TRUE(clients[1].ended());
    clients[0].send("st\r\n\r\n");
    EXPECT_EQ(clients[0].read_response().status(), 200);
}

TEST(Client, a_head_that_does_not_end_is_408_and_silence_is_hung_up_on) {
    Origin origin(echo);
    Proxy proxy;
    proxy.config.listeners[0].header_timeout = milliseconds{100};
    proxy.config.listeners[0].idle_timeout = milliseconds{150};
    proxy.config.listeners[0].body_timeout = milliseconds{100};
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: te");
    EXPECT_EQ(client.read_response().status(), 408);
    EXPECT_TRUE(client.ended());
    client = proxy.client();
    client.send(get());
    EXPECT_EQ(client.read_response().status(), 200);
    EXPECT_TRUE(client.ended());
    client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf");
    const auto answer = client.read_response();
    EXPECT_EQ(answer.status(), 408);
    EXPECT_EQ(answer.field("x-plimsoll-reason"), "body_timeout");
}

TEST(Client, a_dripping_head_does_not_outlive_its_deadline) {
    Proxy proxy;
    proxy.config.listeners[0].header_timeout = milliseconds{200};
    proxy.start();
    auto client = proxy.client();
    const auto since = std::chrono::steady_clock::now();
    client.send("GET / HTTP/1.1\r\nX: ");
    while (client.silent_for(milliseconds{10}) && std::chrono::steady_clock::now() - since < std::chrono::seconds{5})
        client.send("x");
    EXPECT_LT(std::chrono::steady_clock::now() - since, std::chrono::seconds{2});
    EXPECT_EQ(client.read_response().status(), 408);
}

TEST(Client, one_that_takes_nothing_is_cut_off_in_the_end) {
    const std::string body(20'000'000, 'r');
    Origin origin(answering(body));
    Proxy proxy;
    proxy.config.listeners[0].write_timeout = milliseconds{200};
    proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto client = proxy.client();
    client.small_window();
    client.send(get());
    EXPECT_TRUE(eventually(
        [&] { return proxy.server().stats().connections_open == 0 && proxy.server().stats().client_aborts == 1; }));
    EXPECT_EQ(proxy.server().stats().buffered_bytes, 0u);
}

TEST(Client, what_breaks_http_is_refused_with_a_reason_and_the_connection_closed) {
    Proxy proxy;
    proxy.start();
    for (const std::string bad :
         {"GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n", "NONSENSE\r\n\r\n",
          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
        auto client = proxy.client();
        client.send(bad);
        const auto answer = client.read_response();
        EXPECT_EQ(answer.status(), 400) << bad;
        EXPECT_TRUE(answer.has("x-plimsoll-reason")) << bad;
        EXPECT_TRUE(client.ended()) << bad;
    }
    EXPECT_EQ(proxy.server().stats().routes.at(0).by_class[4], 4u);
}

TEST(Client, a_broken_chunk_in_a_buffered_body_never_reaches_a_worker) {
    Origin origin(echo);
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nXYZ\r\n");
    EXPECT_EQ(client.read_response().status(), 400);
    EXPECT_EQ(origin.connections(), 0);
}

TEST(Client, thousands_of_short_connections_leave_nothing_behind) {
    Origin origin(echo);
    Proxy proxy;
    proxy.add_worker(origin.address(), 4);
    proxy.start();
    std::vector<std::thread> threads;
    std::atomic<int> good = 0;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 250; ++i) {
                auto client = proxy.client();
                client.send(get("/", "Connection: close\r\n"));
                if (client.read_response().status() == 200 && client.ended()) ++good;
            }
        });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(good, 1000);
    EXPECT_TRUE(eventually([&] { return proxy.server().stats().connections_open == 0; }));
    EXPECT_EQ(proxy.server().stats().connections_total, 1000u);
}

} // namespace
} // namespace plimsoll::net::testing
