// Workers that close, stall or lie, and what the client and the slot see of it.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy.hpp"

namespace plimsoll::net::testing {
namespace {

// Sends the first `bytes` bytes of an answer to each request, then hangs up.
Origin::Script stops_after(const std::string& answer, const std::atomic<std::size_t>& bytes,
                           std::atomic<int>* requests = nullptr) {
    return [&answer, &bytes, requests](Peer& peer) {
        if (!peer.read_request().complete) return;
        if (requests) ++*requests;
        peer.send(std::string_view(answer).substr(0, bytes));
    };
}

TEST(Fault, a_worker_that_closes_at_any_byte_is_never_taken_for_a_whole_answer) {
    const std::vector<std::string> answers = {
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nanswer",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nansw\r\n2\r\ner\r\n0\r\n\r\n"};
    for (const auto& bytes : answers) {
        std::atomic<std::size_t> cut = 0;
        Origin origin(stops_after(bytes, cut));
        Proxy proxy;
        const auto key = proxy.add_worker(origin.address());
        proxy.start();
        const auto head = bytes.find("\r\n\r\n") + 4;
        for (cut = 0; cut < bytes.size(); ++cut) {
            auto client = proxy.client();
            client.send(post("/", "x"));
            const auto answer = client.read_response();
            if (cut < head) {
                ASSERT_EQ(answer.status(), 502) << "after " << cut;
                ASSERT_EQ(answer.field("x-plimsoll-reason"), "upstream_closed");
                client.send(post("/", "y")); // a clean answer leaves the connection usable
                ASSERT_EQ(client.read_response().status(), 502);
            } else {
                ASSERT_EQ(answer.status(), 200) << "after " << cut;
                ASSERT_FALSE(answer.complete) << "after " << cut;
                ASSERT_TRUE(client.ended());
            }
        }
        EXPECT_EQ(proxy.worker(key).finished[0], 0u);
    }
}

TEST(Fault, a_broken_answer_without_length_resets_a_client_that_would_take_the_end_for_its_end) {
    Origin origin([](Peer& peer) {
        peer.read_request();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
    });
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send("GET / HTTP/1.0\r\n\r\n");
    const auto answer = client.read_response();
    EXPECT_FALSE(answer.complete);
    EXPECT_TRUE(client.was_reset());
}

TEST(Fault, an_idempotent_request_survives_a_connection_that_died_while_it_rested) {
    std::atomic<int> requests = 0;
    Origin origin([&](Peer& peer) {
        if (!peer.read_request().complete) return;
        ++requests;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        if (!peer.read_request().complete) return; // takes the next one, and dies of it
        ++requests;
    });
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    for (const auto* request : {"GET", "PUT", "DELETE", "HEAD"}) {
        const auto put = std::string(request) == "PUT";
        const auto text =
            std::string(request) + " / HTTP/1.1\r\nHost: a\r\nContent-Length: " + (put ? "4\r\n\r\nbody" : "0\r\n\r\n");
        client.send(get());
        ASSERT_EQ(client.read_response().status(), 200);
        client.send(text);
        ASSERT_EQ(client.read_response(std::string(request) == "HEAD").status(), 200) << request;
        client.send(get()); // uses up the connection
        ASSERT_EQ(client.read_response().status(), 200);
    }
    EXPECT_GE(proxy.server().stats().retries, 8u);
}

TEST(Fault, a_request_that_two_workers_died_of_is_not_shown_to_a_third) {
    std::atomic<int> deaths = 0;
    const auto dies = [&](Peer& peer) {
        if (peer.read_request().complete) ++deaths;
    };
    Origin first(dies), second(dies), third(dies), fourth(dies);
    Proxy proxy;
    std::vector<WorkerKey> keys;
    for (auto* origin : {&first, &second, &third, &fourth}) keys.push_back(proxy.add_worker(origin->address()));
    proxy.start();
    auto client = proxy.client();
    client.send(get());
    const auto answer = client.read_response();
    EXPECT_EQ(answer.status(), 502);
    EXPECT_EQ(answer.field("x-plimsoll-reason"), "upstream_closed");
    EXPECT_EQ(deaths, 2);
    unsigned told = 0;
    for (const auto key : keys) told += proxy.pool->broken_off(key);
    EXPECT_EQ(told, 2u) << "whoever hears of the deaths later knows what was in flight";
}

// uWSGI hangs up on what its buffer does not hold, and says so in its own log alone.
TEST(Fault, of_a_uwsgi_that_hangs_up_on_a_large_head_it_is_asked_how_large_its_buffer_is) {
    Origin origin([](Peer& peer) { peer.read_some(); });
    Proxy proxy;
    proxy.add_worker(origin.address(), 8, false, Protocol::uwsgi);
    proxy.start();
    for (const std::size_t cookie : {1'000, 6'000}) {
        auto client = proxy.client();
        client.send(post("/", "", "Cookie: " + std::string(cookie, 'c') + "\r\n"));
        const auto answer = client.read_response();
        EXPECT_EQ(answer.status(), 502);
        EXPECT_EQ(answer.field("x-plimsoll-reason"), "upstream_closed");
        const auto told = answer.body.find("the request's head takes 6");
        EXPECT_EQ(told != answer.body.npos, cookie == 6'000) << answer.body;
        EXPECT_EQ(answer.body.find(" bytes: is the server's buffer-size smaller?") != answer.body.npos,
                  cookie == 6'000);
    }
}

TEST(Fault, a_post_that_reached_a_worker_is_never_sent_again) {
    std::atomic<int> requests = 0;
    Origin origin([&](Peer& peer) {
        if (!peer.read_request().complete) return;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        if (!peer.read_request().complete) return;
        ++requests;
    });
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(get());
    ASSERT_EQ(client.read_response().status(), 200);
    client.send(post("/", "once"));
    const auto answer = client.read_response();
    EXPECT_EQ(answer.status(), 502);
    EXPECT_EQ(answer.field("x-plimsoll-reason"), "upstream_closed");
    EXPECT_EQ(requests, 1);
    EXPECT_EQ(proxy.server().stats().retries, 0u);
}

TEST(Fault, what_comes_before_the_head_of_an_answer_does_not_put_off_its_timeout) {
    for (const std::string piece : {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "X"}) {
        Origin origin([&](Peer& peer) {
            peer.read_request();
            if (piece == "X") peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
            while (peer.send(piece)) std::this_thread::sleep_for(std::chrono::milliseconds{20});
        });
        Proxy proxy;
        proxy.config.pools[0].upstream.response_timeout = std::chrono::milliseconds{300};
        proxy.add_worker(origin.address());
        proxy.start();
        auto client = proxy.client();
        client.send(get());
        auto answer = client.read_response();
        for (int hints = 0; answer.status() == 103 && hints < 200; ++hints) answer = client.read_response();
        EXPECT_EQ(answer.status(), 504) << piece;
        EXPECT_EQ(answer.field("x-plimsoll-reason"), "upstream_timeout");
    }
}

TEST(Fault, interim_answers_have_a_number) {
    Origin origin([&](Peer& peer) {
        peer.read_request();
        for (int i = 0; i < 10'000; ++i)
            if (!peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")) return;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(get());
    auto answer = client.read_response();
    int hints = 0;
    for (; answer.status() == 103; ++hints) answer = client.read_response();
    EXPECT_EQ(answer.status(), 502);
    EXPECT_EQ(answer.field("x-plimsoll-reason"), "upstream_malformed");
    EXPECT_EQ(hints, 100);
}

// The reactor is kept busy while the worker hangs up, so that it cannot have heard of it when the next request asks for a
// connection.
class Overtaken : public ::testing::Test {
protected:
    Overtaken()
        : origin([this](Peer& peer) {
              for (bool first = true; peer.read_request().complete; first = false) {
                  ++asked;
                  eventually([this] { return asked >= at_once; }); // else they would share a connection
                  peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                  if (!first || fresh) continue;
                  eventually([this] { return hang_up.load(); });
                  peer.close();
                  ++hung_up;
                  return;
              }
          }) {
        proxy.config.proxy.threads = 1;
        key = proxy.add_worker(origin.address());
        proxy.start();
    }
    void rest(int connections) {
        at_once = connections;
        std::vector<Peer> clients;
        for (int i = 0; i < connections; ++i) clients.push_back(proxy.client());
        for (auto& client : clients) client.send(get());
        for (auto& client : clients) EXPECT_EQ(client.read_response().status(), 200);
        EXPECT_TRUE(
            eventually([&] { return proxy.server().stats().upstream_idle == static_cast<std::size_t>(connections); }));
    }
    // Those who wait are let in behind the worker's back.
    void let_in_as_it_hangs_up(int connections) {
        std::atomic<bool> done = false;
        proxy.server().close_idle(key + 1, [&] { // nobody's: all it does is to run this on the reactor's thread
            fresh = hang_up = true;
            eventually([&] { return hung_up == connections; });
            proxy.pool->accept(key, true);
            done = true;
        });
        EXPECT_TRUE(eventually([&] { return done.load(); }));
    }
    std::atomic<bool> hang_up = false, fresh = false;
    std::atomic<int> asked = 0, at_once = 0, hung_up = 0;
    Origin origin;
    Proxy proxy;
    WorkerKey key = 0;
};

TEST_F(Overtaken, a_post_is_not_sent_to_a_worker_that_hung_up_in_the_same_turn) {
    rest(2);
    proxy.pool->accept(key, false);
    auto client = proxy.client();
    client.send(post("/", "once"));
    ASSERT_TRUE(eventually([&] { return proxy.queued() == 1; }));
    let_in_as_it_hangs_up(2);
    EXPECT_EQ(client.read_response().status(), 200);
}

TEST_F(Overtaken, a_get_is_sent_again) {
    rest(1);
    proxy.pool->accept(key, false);
    auto client = proxy.client();
    client.send(get());
    ASSERT_TRUE(eventually([&] { return proxy.queued() == 1; }));
    let_in_as_it_hangs_up(1);
    EXPECT_EQ(client.read_response().status(), 200);
    EXPECT_EQ(proxy.server().stats().retries, 1u);
}

// A worker writes a second answer just behind the first. The reactor is busy with others meanwhile, who stand between the first
// answer and the next request, so it has not heard of it when that asks for a connection.
TEST(Fault, a_second_answer_just_behind_the_first_is_not_the_next_clients) {
    std::atomic<bool> answers = false, forges = false;
    std::atomic<int> forged = 0;
    std::atomic<bool> in_time = false; // the forgery came before the next request had the connection
    Origin origin([&](Peer& peer) {
        if (peer.read_request().head.find("/victim") == std::string::npos) {
            eventually([&] { return answers.load(); });
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            eventually([&] { return forges.load(); });
            in_time = peer.silent_for(milliseconds{0});
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged");
            ++forged;
            return;
        }
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhonest");
        peer.ended();
    });
    Proxy proxy;
    proxy.config.proxy.threads = 1;
    proxy.config.routes[0].path = "/app";
    const auto key = proxy.add_worker(origin.address());
    proxy.start();
    std::vector<Peer> others;
    for (int i = 0; i < 100; ++i) {
        others.push_back(proxy.client());
        others.back().send(get("/elsewhere"));
        ASSERT_EQ(others.back().read_response().status(), 404);
    }
    auto victim = proxy.client();
    victim.send(get("/elsewhere"));
    ASSERT_EQ(victim.read_response().status(), 404);
    int conclusive = 0;
    for (int attempt = 1; attempt <= 20 && conclusive < 3; ++attempt) {
        answers = forges = in_time = false;
        auto first = proxy.client();
        first.send(get("/app"));
        ASSERT_TRUE(eventually([&] { return proxy.in_flight() == 1; }));
        std::atomic<bool> sent = false;
        proxy.server().close_idle(key + 1, [&] { // on the reactor's thread: all of this is one turn's news to it
            answers = true;
            std::this_thread::sleep_for(milliseconds{20});
            for (auto& each : others) each.send(get("/elsewhere"));
            victim.send(get("/app/victim"));
            sent = true;
        });
        ASSERT_EQ(first.read_response().body, "ok");
        forges = true;
        const auto answer = victim.read_response();
        ASSERT_TRUE(sent);
        ASSERT_TRUE(eventually([&] { return forged == attempt; }));
        for (auto& each : others) ASSERT_EQ(each.read_response().status(), 404);
        if (!in_time) continue; // then nobody could have told
        ++conclusive;
        ASSERT_EQ(answer.body, "honest");
        victim = proxy.client();
        victim.send(get("/elsewhere"));
        ASSERT_EQ(victim.read_response().status(), 404);
    }
    EXPECT_GT(conclusive, 0);
}

// Its connection is gone, its listener not yet. Somebody else's zombie stands for the process here.
TEST(Fault, a_worker_whose_process_is_ending_gets_nobody_after_it_broke_one_off) {
    std::atomic<bool> dies = true;
    Origin origin([&](Peer& peer) {
        while (peer.read_request().complete) {
            if (dies.exchange(false)) return;
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    const pid_t zombie = ::fork();
    if (zombie == 0) ::_exit(0);
    siginfo_t ended;
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(zombie), &ended, WEXITED | WNOWAIT), 0);
    for (const pid_t pid : {zombie, ::getpid()}) {
        dies = true;
        Proxy proxy;
        const auto key = proxy.add_worker(origin.address());
        proxy.start();
        proxy.pool->set_process(key, pid);
        auto first = proxy.client(), second = proxy.client();
        first.send(post("/", "a"));
        EXPECT_EQ(first.read_response().status(), 502);
        const auto since = std::chrono::steady_clock::now();
        second.send(post("/", "b"));
        EXPECT_EQ(second.read_response().status(), 200);
        const auto waited = std::chrono::steady_clock::now() - since;
        EXPECT_EQ(waited > std::chrono::milliseconds{1500}, pid == zombie);
    }
    ::waitpid(zombie, nullptr, 0);
}

TEST(Fault, a_refused_connect_goes_to_another_worker_even_with_a_post) {
    Origin dead(echo), alive(echo);
    Proxy proxy;
    const auto key = proxy.add_worker(dead.address());
    proxy.add_worker(alive.address());
    proxy.start();
    dead.stop_listening();
    auto client = proxy.client();
    for (int i = 0; i < 20; ++i) {
        client.send(post("/", "body" + std::to_string(i)));
        const auto answer = client.read_response();
        ASSERT_EQ(answer.status(), 200);
        EXPECT_EQ(answer.body, "POST / body" + std::to_string(i));
    }
    EXPECT_GT(proxy.server().stats().retries, 0u);
    EXPECT_GT(proxy.worker(key).finished[static_cast<int>(Outcome::refused_upstream)], 0u);
}

// Of what no worker has taken nothing is lost, however much of it is still to come.
TEST(Fault, a_refused_connect_goes_to_another_worker_in_the_middle_of_a_streamed_body) {
    Origin dead(echo), alive(echo);
    Proxy proxy;
    proxy.config.routes[0].stream = true;
    proxy.add_worker(dead.address());
    proxy.add_worker(alive.address());
    proxy.start();
    dead.stop_listening();
    // Which one is asked first is drawn.
    for (int i = 0; i < 10 || (i < 100 && proxy.server().stats().retries == 0); ++i) {
        auto client = proxy.client();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf");
        ASSERT_TRUE(eventually([&] { return proxy.in_flight() == 1; }));
        client.send("more");
        const auto answer = client.read_response();
        ASSERT_EQ(answer.status(), 200) << answer.body;
        EXPECT_EQ(answer.body, "POST / halfmore");
    }
    EXPECT_GT(proxy.server().stats().retries, 0U);
}

TEST(Fault, a_pool_that_has_spent_its_retries_denies_more_and_in_shadow_only_says_so) {
    Origin dead(echo), alive(echo);
    Proxy proxy;
    auto& pool = proxy.config.pools[0];
    pool.retry = {.share = 0, .minimum = 0};
    proxy.add_worker(dead.address());
    proxy.add_worker(alive.address());
    proxy.start();
    dead.stop_listening();
    const auto status = [&] {
        auto client = proxy.client();
        client.send(get());
        return client.read_response().status();
    };
    const auto retries = [&] { return proxy.server().stats().gates.at(0).retries; };
    EXPECT_TRUE(eventually([&] { return status() == 502; }));
    EXPECT_EQ(retries().denied, 1U);
    EXPECT_EQ(proxy.server().stats().retries, 0U);
    pool.retry.mode = config::Mode::shadow;
    proxy.pool->configure(pool);
    EXPECT_TRUE(eventually([&] { return status() != 200 || retries().shadow > 0; }));
    EXPECT_GT(proxy.server().stats().retries, 0U);
    EXPECT_EQ(retries().denied, 1U);
}

TEST(Fault, each_retry_of_a_request_is_of_the_budget) {
    Origin first(echo), second(echo), third(echo);
    Proxy proxy;
    auto& pool = proxy.config.pools[0];
    pool.retry = {.share = 1, .minimum = 0};
    for (auto* dead : {&first, &second, &third}) {
        proxy.add_worker(dead->address());
        dead->stop_listening();
    }
    proxy.start();
    const auto ask = [&] {
        auto client = proxy.client();
        client.send(get());
        EXPECT_EQ(client.read_response().status(), 502);
    };
    const auto denied = [&] { return proxy.server().stats().gates.at(0).retries.denied; };
    ask();
    EXPECT_EQ(proxy.server().stats().retries, 1U) << "the one that it saved itself";
    EXPECT_EQ(denied(), 1U);
    pool.retry = {.share = 0, .minimum = 1};
    proxy.pool->configure(pool);
    ask();
    EXPECT_EQ(proxy.server().stats().retries, 3U) << "the first is over when the second begins";
    EXPECT_EQ(denied(), 1U);
    const auto retried_again = [&] {
        ask();
        return proxy.server().stats().retries >= 5;
    };
    EXPECT_TRUE(eventually(retried_again)) << "and both when the request has ended";
}

// The connections of a process that dies are closed before its listener: what is sent to it in that moment is lost with it.
TEST(Fault, a_worker_that_hung_up_is_given_nothing_in_the_moment_in_which_it_may_be_dying) {
    using Clock = std::chrono::steady_clock;
    std::atomic<Clock::time_point> hung_up = Clock::time_point{}, next = Clock::time_point{};
    std::atomic<bool> dying = false;
    Origin origin([&](Peer& peer) {
        if (peer.read_request().head.empty()) return;
        if (hung_up.load() == Clock::time_point{}) {
            if (!eventually([&] { return dying.load(); })) return;
            hung_up = Clock::now();
            return;
        }
        next = Clock::now();
        peer.send("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    });
    Proxy proxy;
    proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto first = proxy.client(), second = proxy.client();
    first.send(post("/", "lost"));
    ASSERT_TRUE(eventually([&] { return origin.connections() == 1; }));
    second.send(post("/", "waits"));
    ASSERT_TRUE(eventually([&] { return proxy.queued() == 1; }));
    dying = true;
    EXPECT_EQ(first.read_response().status(), 502);
    EXPECT_EQ(second.read_response().status(), 204);
    EXPECT_GE(next.load() - hung_up.load(), Gate::Settings{}.pause);
}

TEST(Fault, a_worker_may_be_given_by_name_and_a_name_that_nobody_knows_is_a_refusal) {
    Origin origin(echo);
    Proxy proxy;
    proxy.config.proxy.threads = 1;
    proxy.add_worker("localhost" + origin.address().substr(origin.address().find(':')), 8, false);
    proxy.start();
    auto client = proxy.client();
    for (int i = 0; i < 5; ++i) {
        client.send(post("/", "named"));
        EXPECT_EQ(client.read_response().body, "POST / named");
    }
    Proxy lost;
    lost.add_worker("no-such-host.invalid:80");
    lost.start();
    client = lost.client();
    client.send(get());
    EXPECT_EQ(client.read_response().field("x-plimsoll-reason"), "upstream_refused");
}

TEST(Fault, when_every_worker_refuses_the_client_is_told_so) {
    Origin dead(echo);
    Proxy proxy;
    proxy.add_worker(dead.address());
    proxy.start();
    dead.stop_listening();
    auto client = proxy.client();
    client.send(post("/", "body"));
    const auto answer = client.read_response();
    EXPECT_EQ(answer.status(), 502);
    EXPECT_EQ(answer.field("x-plimsoll-reason"), "upstream_refused");
    EXPECT_TRUE(eventually([&] { return proxy.refused("upstream_refused") == 1; }));
    client.send(get()); // and the connection stays
    EXPECT_EQ(client.read_response().status(), 502);
}

TEST(Fault, a_worker_that_stalls_before_the_head_costs_504_and_after_it_the_connection) {
    Origin silent([](Peer& peer) {
        peer.read_request();
        peer.read_some();
    });
    Origin half([](Peer& peer) {
        peer.read_request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        peer.read_some();
    });
    for (auto* origin : {&silent, &half}) {
        Proxy proxy;
        proxy.config.pools[0].upstream.response_timeout = std::chrono::milliseconds{100};
        proxy.config.pools[0].upstream.read_timeout = std::chrono::milliseconds{100};
        const auto key = proxy.add_worker(origin->address());
        proxy.start();
        auto client = proxy.client();
        client.send(get());
        const auto answer = client.read_response();
        if (origin == &silent) {
            EXPECT_EQ(answer.status(), 504);
            EXPECT_EQ(answer.field("x-plimsoll-reason"), "upstream_timeout");
        } else {
            EXPECT_EQ(answer.status(), 200);
            EXPECT_FALSE(answer.complete);
            EXPECT_TRUE(client.ended());
        }
        EXPECT_TRUE(eventually([&] { return proxy.worker(key).finished[static_cast<int>(Outcome::timeout)] == 1; }));
    }
}

TEST(Fault, nonsense_from_a_worker_is_502_and_reaches_nobody) {
    for (const std::string bytes :
         {"\x16\x03\x01", "SMTP ready\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
          "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n"}) {
        Origin origin([&](Peer& peer) {
            peer.read_request();
            peer.send(bytes);
            peer.send(std::string(70'000, 'x'));
            peer.read_some();
        });
        Proxy proxy;
        proxy.add_worker(origin.address());
        proxy.start();
        auto client = proxy.client();
        client.send(get());
        const auto answer = client.read_response();
        EXPECT_EQ(answer.status(), 502) << bytes;
        EXPECT_EQ(answer.field("x-plimsoll-reason"), "upstream_malformed") << bytes;
    }
}

TEST(Fault, bytes_after_an_answer_never_become_the_next_one) {
    Origin origin([](Peer& peer) {
        while (peer.read_request().complete)
            peer.send(
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged");
    });
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    for (int i = 0; i < 10; ++i) {
        client.send(get());
        ASSERT_EQ(client.read_response().body, "ok");
    }
    EXPECT_EQ(origin.connections(), 10);
}

// As gunicorn 23's gthread workers do for an application that returns one: the head goes first, and then the body.
class NoContent : public ::testing::TestWithParam<const char*> {};

TEST_P(NoContent, what_a_worker_sends_behind_it_is_nobodys_answer) {
    Origin origin([](Peer& peer) {
        while (true) {
            const auto request = peer.read_request();
            if (!request.complete) return;
            if (!request.head.starts_with("GET /none")) {
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                continue;
            }
            peer.send(GetParam());
            peer.read_some(1); // it comes when the next request is here, if it comes on this connection
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged");
        }
    });
    Proxy proxy;
    proxy.config.proxy.threads = 1;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    for (int i = 0; i < 5; ++i) {
        client.send(get("/none"));
        ASSERT_LT(client.read_response(true).status(), 400U);
        client.send(get());
        ASSERT_EQ(client.read_response().body, "ok");
    }
}

INSTANTIATE_TEST_SUITE_P(Heads, NoContent,
                         ::testing::Values("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
                                           "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
                                           "HTTP/1.1 204 No Content\r\n\r\n"));

TEST(Fault, a_body_that_a_worker_sends_to_head_all_the_same_is_nobodys_answer) {
    std::atomic<int> heads = 0;
    Origin origin([&](Peer& peer) {
        while (true) {
            const auto request = peer.read_request();
            if (!request.complete) return;
            if (!request.head.starts_with("HEAD")) {
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                continue;
            }
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n");
            ++heads;
            peer.read_some(1); // the body comes when the next request is here, if it comes on this connection
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged");
        }
    });
    Proxy proxy;
    proxy.config.proxy.threads = 1;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    for (int i = 0; i < 5; ++i) {
        client.send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
        ASSERT_EQ(client.read_response(true).status(), 200);
        client.send(get());
        ASSERT_EQ(client.read_response().body, "ok");
    }
    EXPECT_TRUE(eventually([&] { return heads == 5; })); // the last one is counted after its answer
}

TEST(Fault, what_a_resting_connection_says_unasked_makes_it_unfit) {
    std::atomic<int> unasked = 0;
    Origin origin([&](Peer& peer) {
        peer.read_request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
        peer.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
        ++unasked;
        peer.read_some();
    });
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(get());
    ASSERT_EQ(client.read_response().status(), 200);
    EXPECT_TRUE(eventually([&] { return unasked == 1 && proxy.server().stats().upstream_idle == 0; }));
    client.send(get());
    EXPECT_EQ(client.read_response().status(), 200);
}

TEST(Fault, a_worker_of_one_request_a_connection_is_hung_up_on_at_once) {
    std::atomic<long> lingered = -1;
    Origin origin([&](Peer& peer) {
        const auto request = peer.read_request();
        EXPECT_EQ(request.field("connection"), "close");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        const auto since = std::chrono::steady_clock::now();
        peer.ended();
        lingered =
            std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - since).count();
    });
    Proxy proxy;
    proxy.add_worker(origin.address(), 1, false);
    proxy.start();
    auto client = proxy.client();
    client.send(get());
    EXPECT_EQ(client.read_response().status(), 200);
    EXPECT_TRUE(eventually([&] { return lingered >= 0; }));
    EXPECT_LT(lingered, 500);
    EXPECT_EQ(proxy.server().stats().upstream_idle, 0u);
}

TEST(Fault, an_early_answer_is_relayed_while_the_body_is_still_coming) {
    for (const bool stream : {true, false}) {
        Origin origin([&](Peer& peer) {
            peer.read_some();
            peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        });
        Proxy proxy;
        proxy.config.routes[0].stream = stream;
        proxy.add_worker(origin.address());
        proxy.start();
        auto client = proxy.client();
        std::thread writer([&] {
            client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 3000000\r\n\r\n" +
                        std::string(stream ? 100 : 3'000'000, 'x'));
        });
        const auto answer = client.read_response();
        EXPECT_EQ(answer.status(), 413);
        EXPECT_EQ(answer.body, "no");
        writer.join();
    }
}

TEST(Fault, the_only_worker_is_asked_once_more_and_then_no_more) {
    Origin origin([](Peer& peer) { peer.read_request(); });
    Proxy proxy;
    proxy.config.proxy.threads = 1;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(get());
    EXPECT_EQ(client.read_response().status(), 502);
    EXPECT_EQ(origin.connections(), 2);
    EXPECT_EQ(proxy.server().stats().retries, 1u);
}

} // namespace
} // namespace plimsoll::net::testing
