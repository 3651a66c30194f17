// What one client may cost: time, bytes a second, connections, disk.
#include <gtest/gtest.h>

#include "proxy.hpp"

namespace plimsoll::net::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Reads a request and says nothing until the other side hangs up.
void silent(Peer& peer) {
    peer.read_request();
    peer.read_some();
}

TEST(Deadline, a_body_that_is_not_here_in_time_is_408_and_reaches_no_worker) {
    Origin origin(echo);
    Proxy proxy;
    proxy.config.pools[0].upstream.deadline = milliseconds{100};
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf");
    const auto answer = client.read_response();
    EXPECT_EQ(answer.status(), 408);
    EXPECT_EQ(answer.field("x-plimsoll-reason"), "deadline");
    EXPECT_TRUE(client.ended());
    EXPECT_EQ(origin.connections(), 0);
}

TEST(Deadline, a_worker_that_does_not_answer_in_time_costs_504_and_the_connection_lives_on) {
    std::atomic<bool> first = true;
    Origin origin([&](Peer& peer) {
        if (first.exchange(false)) return silent(peer);
        echo(peer);
    });
    Proxy proxy;
    proxy.config.pools[0].upstream.deadline = milliseconds{100};
    const auto key = proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto client = proxy.client();
    client.send(post("/", "x"));
    const auto answer = client.read_response();
    EXPECT_EQ(answer.status(), 504);
    EXPECT_EQ(answer.field("x-plimsoll-reason"), "deadline");
    EXPECT_TRUE(eventually([&] { return proxy.worker(key).finished[static_cast<int>(Outcome::timeout)] == 1; }))
        << "the worker was told, and hung up";
    EXPECT_TRUE(client.silent_for(milliseconds{200})) << "the deadline of a request is none of its connection";
    client.send(get("/next"));
    EXPECT_EQ(client.read_response().body, "GET /next ");
}

TEST(Deadline, a_request_that_waits_for_a_slot_is_504_and_leaves_the_queue) {
    Origin origin(silent);
    Proxy proxy;
    proxy.config.routes[0].path = "/brief";
    proxy.config.routes[0].deadline = milliseconds{100};
    config::Route patient;
    patient.pool = "app";
    proxy.config.routes.push_back(patient);
    proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto holder = proxy.client(), waiting = proxy.client();
    holder.send(get());
    ASSERT_TRUE(eventually([&] { return proxy.in_flight() == 1; }));
    waiting.send(get("/brief"));
    const auto answer = waiting.read_response();
    EXPECT_EQ(answer.status(), 504);
    EXPECT_EQ(answer.field("x-plimsoll-reason"), "deadline");
    EXPECT_NE(answer.field("retry-after"), "");
    EXPECT_EQ(proxy.queued(), 0u);
    EXPECT_EQ(proxy.pool->stats().admitted, 1u);
    EXPECT_TRUE(holder.silent_for(milliseconds{1})) << "the route without a deadline has none";
}

TEST(Deadline, an_answer_that_does_not_end_in_time_is_broken_off) {
    Origin origin([](Peer& peer) {
        peer.read_request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin");
        peer.read_some();
    });
    Proxy proxy;
    proxy.config.pools[0].upstream.deadline = milliseconds{100};
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(get());
    const auto answer = client.read_response();
    EXPECT_EQ(answer.status(), 200);
    EXPECT_FALSE(answer.complete);
    EXPECT_TRUE(client.ended());
}

TEST(Deadline, of_a_client_it_ends_its_wait_for_a_worker_and_trips_nobody) {
    std::atomic<bool> quiet = true;
    Origin origin([&](Peer& peer) {
        if (quiet) return silent(peer);
        echo(peer);
    });
    Proxy proxy;
    proxy.config.pools[0].breaker.consecutive = 3;
    const auto key = proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto client = proxy.client();
    constexpr unsigned asked = 10;
    for (unsigned i = 1; i <= asked; ++i) {
        const auto since = Clock::now();
        client.send(i % 2 ? get("/", "X-Request-Timeout: 0.05\r\n") : post("/", "x", "X-Request-Timeout: 0.05\r\n"));
        const auto answer = client.read_response();
        EXPECT_GE(Clock::now() - since, milliseconds{50});
        ASSERT_EQ(answer.status(), 504);
        EXPECT_EQ(answer.field("x-plimsoll-reason"), "deadline");
        ASSERT_TRUE(eventually([&] { return proxy.worker(key).finished[static_cast<int>(Outcome::abandoned)] == i; }))
            << "its slot comes back when the worker is done with it";
    }
    EXPECT_EQ(proxy.pool->breaker(key).trips, 0U);
    EXPECT_EQ(proxy.worker(key).finished[static_cast<int>(Outcome::timeout)], 0U);
    quiet = false;
    client.send(get("/next"));
    EXPECT_EQ(client.read_response().body, "GET /next ") << "the deadline of a request is none of its connection";
}

TEST(Deadline, of_a_client_it_is_met_when_the_answer_has_begun) {
    Origin origin([](Peer& peer) {
        peer.read_request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegin");
        std::this_thread::sleep_for(milliseconds{200});
        peer.send("ended");
    });
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(get("/", "X-Request-Timeout: 0.1\r\n"));
    const auto answer = client.read_response();
    EXPECT_EQ(answer.status(), 200);
    EXPECT_EQ(answer.body, "beginended");
}

TEST(Deadline, of_a_client_it_is_not_met_by_an_interim_answer) {
    Origin origin([](Peer& peer) {
        peer.read_request();
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        peer.read_some();
    });
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(get("/", "X-Request-Timeout: 0.1\r\n"));
    auto answer = client.read_response();
    if (answer.status() == 103) answer = client.read_response();
    EXPECT_EQ(answer.status(), 504);
}

TEST(Deadline, of_the_operator_it_holds_again_once_the_answer_has_begun) {
    Origin origin([](Peer& peer) {
        peer.read_request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin");
        peer.read_some();
    });
    Proxy proxy;
    proxy.config.pools[0].upstream.deadline = milliseconds{200};
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    const auto since = Clock::now();
    client.send(get("/", "X-Request-Timeout: 0.1\r\n"));
    const auto answer = client.read_response();
    EXPECT_EQ(answer.status(), 200);
    EXPECT_FALSE(answer.complete);
    EXPECT_GE(Clock::now() - since, milliseconds{200});
}

TEST(Deadline, the_operators_holds_where_the_client_would_wait_longer) {
    Origin origin(silent);
    Proxy proxy;
    proxy.config.pools[0].upstream.deadline = milliseconds{100};
    const auto key = proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto client = proxy.client();
    client.send(get("/", "X-Request-Timeout: 30\r\n"));
    EXPECT_EQ(client.read_response().status(), 504);
    EXPECT_TRUE(eventually([&] { return proxy.worker(key).finished[static_cast<int>(Outcome::timeout)] == 1; }))
        << "it is the worker's failure";
}

TEST(Deadline, the_one_of_a_route_goes_before_the_one_of_its_pool) {
    Origin origin([](Peer& peer) {
        while (peer.read_request().complete) {
            std::this_thread::sleep_for(milliseconds{150});
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    Proxy proxy;
    proxy.config.pools[0].upstream.deadline = milliseconds{50};
    proxy.config.routes[0].deadline = seconds{30};
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(get());
    EXPECT_EQ(client.read_response().status(), 200);
}

TEST(Deadline, a_busy_tunnel_ends_at_its_own_and_not_at_that_of_requests) {
    Origin origin([](Peer& peer) {
        peer.read_request();
        peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: noise\r\n\r\n");
        while (peer.send("x")) std::this_thread::sleep_for(milliseconds{2});
    });
    Proxy proxy;
    proxy.config.pools[0].upstream.deadline = milliseconds{100};
    proxy.config.pools[0].upstream.upgrade_deadline = milliseconds{400};
    const auto key = proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto client = proxy.client();
    const auto since = std::chrono::steady_clock::now();
    client.send(get("/", "Connection: upgrade\r\nUpgrade: noise\r\n"));
    ASSERT_EQ(client.read_response(true).status(), 101);
    while (!client.read_some().empty()) {
    }
    EXPECT_GE(std::chrono::steady_clock::now() - since, milliseconds{390});
    EXPECT_TRUE(eventually([&] { return proxy.worker(key).finished[static_cast<int>(Outcome::success)] == 1; }));
}

TEST(Upgrade, one_with_a_body_is_refused) {
    Origin origin(echo);
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    for (const std::string body : {"Content-Length: 1\r\n\r\nx", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"}) {
        auto client = proxy.client();
        client.send("POST / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: noise\r\n" + body);
        const auto answer = client.read_response();
        EXPECT_EQ(answer.status(), 400);
        EXPECT_EQ(answer.field("x-plimsoll-reason"), "upgrade_with_body");
        EXPECT_TRUE(client.ended());
    }
    EXPECT_EQ(origin.connections(), 0);
}

TEST(MinRate, drips_are_cut_off_both_ways_and_a_worker_may_drip_as_it_likes) {
    const std::string large(40'000'000, 'l');
    std::atomic<bool> judged = false;
    Origin origin([&](Peer& peer) {
        const auto request = peer.read_request();
        if (!request.complete) return;
        const bool drip = request.head.starts_with("GET /drip ");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(drip ? 5 : large.size()) + "\r\n\r\n");
        if (!drip) {
            peer.send(large);
            return;
        }
        peer.send("drip");
        eventually([&] { return judged.load(); }, 4 * patience); // far slower than any client may be
        peer.send("s");
        peer.read_some();
    });
    Proxy proxy;
    auto& listener = proxy.config.listeners[0];
    listener.min_rate = {256 << 20};
    listener.body_timeout = listener.write_timeout = milliseconds{1000};
    proxy.add_worker(origin.address());
    proxy.start();
    auto innocent = proxy.client(), sender = proxy.client(), taker = proxy.client();
    innocent.send(get("/drip"));
    sender.send("POST /up HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n");
    while (sender.silent_for(milliseconds{20}) && sender.send("u")) { // never silent for as long as body_timeout
    }
    const auto answer = sender.read_response();
    EXPECT_EQ(answer.status(), 408);
    EXPECT_EQ(answer.field("x-plimsoll-reason"), "min_rate");
    taker.small_window();
    taker.send(get("/large"));
    std::size_t taken = 0;
    for (std::string some = taker.read_some(); !some.empty(); some = taker.read_some()) {
        taken += some.size();
        std::this_thread::sleep_for(milliseconds{10});
    }
    EXPECT_LT(taken, large.size());
    EXPECT_TRUE(taker.was_reset()) << "what it did not take lies with the kernel";
    EXPECT_TRUE(eventually([&] { return proxy.server().stats().client_aborts == 1; }));
    judged = true;
    EXPECT_EQ(innocent.read_response().body, "drips");
}

// With megabytes in its socket's queue a client that takes little but steadily makes the socket writable seldom.
TEST(Client, one_that_takes_steadily_is_not_taken_for_one_that_takes_nothing) {
    const std::string body(20'000'000, 's');
    Origin origin([&](Peer& peer) {
        peer.read_request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
        peer.read_some();
    });
    Proxy proxy;
    proxy.config.listeners[0].write_timeout = milliseconds{700};
    proxy.config.listeners[0].min_rate = {0};
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.small_window();
    client.send(get());
    const auto enough = std::chrono::steady_clock::now() + seconds{3};
    while (std::chrono::steady_clock::now() < enough) {
        ASSERT_FALSE(client.read_some(4'000).empty());
        std::this_thread::sleep_for(milliseconds{20});
    }
}

TEST(Client, more_connections_than_one_address_may_have_are_refused_counted_and_given_back) {
    Origin origin(echo);
    Proxy proxy;
    proxy.config.proxy.max_connections_per_client = 2;
    proxy.add_worker(origin.address());
    proxy.start();
    std::vector<Peer> clients;
    for (int i = 0; i < 2; ++i) {
        clients.push_back(proxy.client());
        clients.back().send(get());
        ASSERT_EQ(clients.back().read_response().status(), 200);
    }
    auto third = proxy.client();
    third.send(get());
    const auto answer = third.read_response();
    EXPECT_EQ(answer.status(), 503);
    EXPECT_EQ(answer.field("x-plimsoll-reason"), "max_connections_per_client");
    EXPECT_EQ(proxy.refused("max_connections_per_client"), 1u);
    clients.pop_back();
    ASSERT_TRUE(eventually([&] { return proxy.server().stats().connections_open == 1; }));
    auto fourth = proxy.client();
    fourth.send(get());
    EXPECT_EQ(fourth.read_response().status(), 200);
    proxy.config.proxy.trusted_proxies = {"127.0.0.0/8"}; // behind one address of these are many clients
    proxy.server().apply(proxy.config, {{"app", proxy.pool}});
    auto trusted = proxy.client();
    trusted.send(get());
    EXPECT_EQ(trusted.read_response().status(), 200);
}

TEST(Disk, an_upload_that_all_bodies_together_leave_no_room_for_is_503) {
    Origin origin(echo);
    Proxy proxy;
    proxy.config.proxy.threads = 1;
    proxy.config.proxy.buffer_files = {1 << 20};
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(post("/", std::string(600'000, 'u')));
    EXPECT_EQ(client.read_response().status(), 200) << "what one leaves the next one may use";
    client.send(post("/", std::string(600'000, 'u')));
    EXPECT_EQ(client.read_response().status(), 200);
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 3000000\r\n\r\n");
    std::thread sender([&] { client.send(std::string(3'000'000, 'u')); });
    const auto answer = client.read_response();
    sender.join();
    EXPECT_EQ(answer.status(), 503);
    EXPECT_EQ(answer.field("x-plimsoll-reason"), "buffers_full");
    EXPECT_NE(answer.field("retry-after"), "");
}

TEST(Disk, the_room_for_all_bodies_is_one_whatever_the_number_of_threads) {
    Origin origin(echo);
    Proxy proxy;
    proxy.config.proxy.threads = 4;
    proxy.config.proxy.buffer_files = {1 << 20};
    proxy.add_worker(origin.address());
    proxy.start();
    auto one = proxy.client();
    one.send(post("/", std::string(900'000, 'u'))); // more than a quarter
    EXPECT_EQ(one.read_response().status(), 200);
    one.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 900000\r\n\r\n" + std::string(800'000, 'u'));
    const auto status_of_another = [&] {
        auto another = proxy.client();
        another.send(post("/", std::string(900'000, 'u')));
        return another.read_response().status();
    };
    ASSERT_TRUE(eventually([&] { return proxy.server().stats().buffered_file_bytes > 700'000; }))
        << "or it may be the one";
    for (int i = 0; i < 16; ++i) EXPECT_EQ(status_of_another(), 503) << "what one thread holds is held for all";
    one.send(std::string(100'000, 'u'));
    EXPECT_EQ(one.read_response().status(), 200);
    EXPECT_TRUE(eventually([&] { return proxy.server().stats().buffered_bytes == 0; })) << "all was given back";
}

TEST(Disk, a_body_that_has_to_wait_for_a_slot_and_finds_no_room_is_503_at_once) {
    std::atomic<bool> done = false;
    Origin origin([&](Peer& peer) {
        if (!peer.read_request().complete) return;
        eventually([&] { return done.load(); });
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    Proxy proxy;
    proxy.config.proxy.threads = 1;
    proxy.config.proxy.buffer_memory = {1};
    proxy.config.proxy.buffer_files = {1 << 20};
    proxy.config.pools[0].queue.timeout = milliseconds{60'000};
    proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto holder = proxy.client(), filling = proxy.client(), waiting = proxy.client();
    holder.send(get());
    ASSERT_TRUE(eventually([&] { return proxy.in_flight() == 1; }));
    filling.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1100000\r\n\r\n" + std::string(1'045'000, 'u'));
    ASSERT_TRUE(eventually([&] { return proxy.server().stats().buffered_file_bytes >= 1'045'000; }));
    waiting.send(post("/", std::string(5'000, 'u')));
    const auto answer = waiting.read_response();
    EXPECT_EQ(answer.status(), 503);
    EXPECT_EQ(answer.field("x-plimsoll-reason"), "buffers_full");
    EXPECT_EQ(proxy.in_flight(), 1U) << "before the slot is free";
    EXPECT_EQ(proxy.queued(), 0U);
    done = true;
}

TEST(Disk, a_worker_waits_for_its_client_where_the_disk_takes_no_more) {
    const std::string body(80'000'000, 'd'); // the sockets between them hold up to 33 MB each (tcp_rmem)
    std::atomic<std::size_t> sent = 0;
    Origin origin([&](Peer& peer) {
        peer.read_request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
        for (std::size_t at = 0; at < body.size() && peer.send(std::string_view(body).substr(at, 50'000)); at += 50'000)
            sent = at + 50'000;
        peer.read_some();
    });
    Proxy proxy;
    proxy.config.proxy.threads = 1;
    proxy.config.proxy.buffer_files = {1 << 20};
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.small_window();
    client.send(get());
    ASSERT_TRUE(eventually([&] {
        const std::size_t now = sent;
        std::this_thread::sleep_for(milliseconds{100});
        return now > 1'000'000 && now == sent;
    }));
    EXPECT_LT(sent, body.size());
    const auto answer = client.read_response();
    EXPECT_TRUE(answer.complete);
    EXPECT_TRUE(answer.body == body);
}

// The worker makes each piece only when the client has seen the one before: whoever holds a piece back holds all.
class AsItComes : public ::testing::TestWithParam<const char*> {};

TEST_P(AsItComes, a_piece_reaches_the_client_before_the_next_one_is_made) {
    constexpr int pieces = 20;
    const std::string kind = GetParam();
    std::atomic<int> seen = 0;
    Origin origin([&](Peer& peer) {
        peer.read_request();
        std::string head = "HTTP/1.1 200 OK\r\n";
        if (kind == "event_stream") head += "Content-Type: text/event-stream\r\n";
        if (kind == "x_accel_buffering") head += "X-Accel-Buffering: no\r\n";
        if (kind == "with_length") head += "Content-Length: 140\r\n";
        peer.send(head + "\r\n");
        for (int i = 0; i < pieces; ++i) {
            peer.send("piece.\n");
            if (!eventually([&] { return seen == i + 1; })) return;
        }
    });
    Proxy proxy;
    proxy.config.routes[0].stream = kind == "streamed_route";
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(get());
    std::string came;
    for (; seen < pieces; ++seen) {
        for (std::size_t at = 0; at == 0;) {
            const auto some = client.read_some();
            ASSERT_FALSE(some.empty()) << "after " << seen << " pieces";
            came += some;
            at = came.find("piece.\n") + 1;
        }
        came.erase(0, came.find("piece.\n") + 7);
    }
}

INSTANTIATE_TEST_SUITE_P(answers, AsItComes,
                         ::testing::Values("event_stream", "x_accel_buffering", "streamed_route", "with_length",
                                           "long_poll"),
                         [](const auto& each) { return std::string(each.param); });

TEST(Stream, comes_whole_to_who_reads_slowly_though_others_have_used_the_buffers_up) {
    const std::string body(40'000'000, 's'); // the sockets between them hold a part
    std::atomic<bool> asked = false;
    Origin origin([&](Peer& peer) {
        if (!peer.read_request().complete) return;
        asked = true;
        peer.send("HTTP/1.1 200 OK\r\nX-Accel-Buffering: no\r\nContent-Length: " + std::to_string(body.size()) +
                  "\r\n\r\n");
        peer.send(body);
        peer.read_some();
    });
    Proxy proxy;
    proxy.add_worker(origin.address());
    auto filling = proxy.start_with_full_buffers();
    auto client = proxy.client();
    client.send(get());
    ASSERT_TRUE(eventually([&] { return asked && proxy.server().stats().buffered_bytes > 16'384; }))
        << "some of it waits";
    EXPECT_LE(proxy.server().stats().buffered_bytes, 16'384 + (8u << 10)) << "little";
    const auto answer = client.read_response();
    EXPECT_TRUE(answer.complete);
    EXPECT_TRUE(answer.body == body);
}

TEST(Stream, of_an_upload_goes_on_though_others_have_used_the_buffers_up) {
    Origin origin([](Peer& peer) {
        for (auto request = peer.read_request(); request.complete; request = peer.read_request()) {
            const std::string length = std::to_string(request.body.size());
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(length.size()) + "\r\n\r\n" + length);
        }
    });
    Proxy proxy;
    config::Route route = proxy.config.routes[0];
    route.path = "/up";
    route.stream = true;
    proxy.config.routes.insert(proxy.config.routes.begin(), route);
    proxy.add_worker(origin.address());
    auto filling = proxy.start_with_full_buffers();
    auto client = proxy.client();
    client.send(post("/up", std::string(3'000'000, 'u')));
    EXPECT_EQ(client.read_response().body, "3000000");
    client.send("POST /up HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n1e8480\r\n" +
                std::string(2'000'000, 'c') + "\r\n0\r\n\r\n");
    EXPECT_EQ(client.read_response().body, "2000000");
}

} // namespace
} // namespace plimsoll::net::testing
