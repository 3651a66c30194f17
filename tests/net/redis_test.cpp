// Redis' protocol, and a server that does what no real Redis does: silence, nonsense, answers in pieces. What a real one does is
// tried in tests/e2e/test_shared_limits.py.
#include <cstdio>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "log/log.hpp"
#include "net/redis/health.hpp"
#include "net/redis/protocol.hpp"
#include "proxy.hpp"

namespace plimsoll::net::testing {
namespace {

using redis::Reader;
using redis::Reply;

std::string command(std::vector<std::string_view> words) { return redis::command(words); }

TEST(RedisProtocol, words_may_hold_any_bytes) {
    const std::string_view any("a\0\r\n", 4);
    EXPECT_EQ(command({"AUTH", any}), "*2\r\n$4\r\nAUTH\r\n$4\r\n" + std::string(any) + "\r\n");
}

TEST(RedisProtocol, replies_are_understood_wherever_they_are_torn) {
    const std::string bytes = "+OK\r\n-OOM no room\r\n:-7\r\n*2\r\n:1\r\n:2\r\n$3\r\na\r\n\r\n*1\r\n$1\r\nx\r\n$-1\r\n";
    Reader reader;
    std::vector<Reply> replies;
    for (const char each : bytes) {
        reader.feed({&each, 1});
        while (auto reply = reader.next()) replies.push_back(*reply);
    }
    ASSERT_EQ(replies.size(), 7U);
    EXPECT_EQ(replies[0].text, "OK");
    EXPECT_TRUE(replies[1].failed_with("OOM"));
    EXPECT_FALSE(replies[0].failed_with("OK")) << "this is no error";
    EXPECT_EQ(replies[2].numbers, std::vector<std::int64_t>{-7});
    EXPECT_EQ(replies[3].numbers, (std::vector<std::int64_t>{1, 2}));
    EXPECT_EQ(replies[4].text, "a\r\n");
    EXPECT_EQ(replies[5].kind, Reply::Kind::other);
    EXPECT_EQ(replies[6].kind, Reply::Kind::other);
    EXPECT_FALSE(reader.broken());
}

TEST(RedisProtocol, what_is_no_redis_is_noticed) {
    Reader reader;
    reader.feed("HTTP/1.1 400 Bad Request\r\n\r\n");
    EXPECT_FALSE(reader.next());
    EXPECT_TRUE(reader.broken());
}

TEST(RedisProtocol, a_reply_has_a_bound) {
    Reader reader;
    reader.feed("$1000000\r\n");
    for (int i = 0; i < 70 && !reader.next(); ++i) reader.feed(std::string(1000, 'x'));
    EXPECT_TRUE(reader.broken());
}

constexpr auto passed = "*4\r\n:1\r\n:5\r\n:0\r\n:1000000\r\n";
constexpr auto refused = "*4\r\n:0\r\n:0\r\n:1000000\r\n:6000000\r\n";

// Reads until `text` has come. False: the other side is gone.
bool read_until(Peer& peer, std::string_view text) {
    std::string got;
    while (got.find(text) == std::string::npos) {
        const auto more = peer.read_some();
        if (more.empty()) return false;
        got += more;
    }
    return true;
}

// Whoever connects gets the script's digest, and then what `answer` says to each question.
Origin::Script greeting_and(std::function<void(Peer&)> answer) {
    return [answer = std::move(answer)](Peer& peer) {
        if (!read_until(peer, "return verdicts\n\r\n")) return;
        if (!peer.send("$40\r\n0123456789012345678901234567890123456789\r\n")) return;
        while (read_until(peer, "EVALSHA")) answer(peer);
    };
}

// As while reactors go over to another server one by one: there nobody is connected yet.
TEST(RedisHealth, what_a_connection_to_the_server_before_still_hears_proves_nothing_about_the_next) {
    const auto before = std::make_shared<redis::Settings>(), next = std::make_shared<redis::Settings>();
    redis::Health health;
    const Instant now = Clock::now();
    health.use(before);
    EXPECT_TRUE(health.admits(*before, now));
    health.use(next);
    for (int i = 0; i < 20; ++i) health.failed(*before, now, RedisResult::lost, "the server closed the connection");
    health.unsent(*before, now, RedisResult::lost, "WRONGPASS");
    health.unreachable(*before, now, "WRONGPASS");
    EXPECT_TRUE(health.passing());
    EXPECT_FALSE(health.admits(*before, now)) << "nobody would hear what came of it";
    EXPECT_TRUE(health.admits(*next, now));
    health.unreachable(*next, now, "connection refused");
    EXPECT_FALSE(health.passing());
    health.answered(*before, now, std::chrono::milliseconds{1});
    EXPECT_FALSE(health.passing());
}

struct RedisTest : ::testing::Test {
    Origin origin{echo};
    Proxy proxy;

    void start(const Origin& server, Duration timeout = std::chrono::seconds{1}, unsigned reactors = 1) {
        proxy.config.proxy.threads = reactors;
        proxy.config.redis.url = "redis://" + server.address();
        proxy.config.redis.timeout = timeout;
        config::Limit limit;
        limit.rate = "1/h";
        limit.burst = 5;
        limit.shared = true;
        proxy.config.routes[0].limits = {limit};
        proxy.add_worker(origin.address());
        proxy.start();
    }
    void connected() {
        ASSERT_TRUE(eventually([this] { return redis().connections == 1; })) << redis().problem;
    }
    RedisStats redis() { return proxy.server().stats().redis.value_or(RedisStats{}); }
    std::uint64_t count(RedisResult result) { return redis().results[static_cast<std::size_t>(result)]; }
    Message ask() {
        auto client = proxy.client();
        client.send(get());
        return client.read_response();
    }
};

TEST_F(RedisTest, who_is_refused_while_it_is_asked_keeps_no_slot) {
    std::atomic<bool> mute = false;
    Origin server(greeting_and([&](Peer& peer) {
        if (!mute) peer.send(passed);
    }));
    proxy.config.routes[0].deadline = std::chrono::milliseconds{200};
    start(server);
    connected();
    const auto memory = [this](double pressure) {
        proxy.pool->observe(proxy.pool->stats().workers.front().worker, pressure);
    };
    memory(0.99);
    EXPECT_EQ(ask().field("x-plimsoll-reason"), "memory");
    memory(0.1); // the gate learns of it when it is asked for a slot, and gives one: then Redis is asked
    mute = true;
    auto client = proxy.client();
    client.send(get("/", "Connection: close\r\n"));
    EXPECT_EQ(client.read_response().status(), 504);
    EXPECT_EQ(proxy.in_flight(), 0U) << "nobody waits for this client to hang up";
}

TEST_F(RedisTest, its_verdict_is_the_answer) {
    std::atomic<bool> allow = true;
    Origin server(greeting_and([&](Peer& peer) { peer.send(allow ? passed : refused); }));
    start(server);
    connected();
    const auto first = ask();
    EXPECT_EQ(first.status(), 200);
    EXPECT_EQ(first.field("ratelimit-policy"), "\"client\";q=6;w=21600");
    EXPECT_EQ(first.field("ratelimit"), "\"client\";r=5;t=1");
    allow = false;
    const auto second = ask();
    EXPECT_EQ(second.status(), 429);
    EXPECT_EQ(second.field("retry-after"), "1");
    EXPECT_EQ(count(RedisResult::ok), 2U);
}

TEST_F(RedisTest, a_body_that_came_with_the_head_is_kept_while_redis_is_asked) {
    Origin server(greeting_and([](Peer& peer) { peer.send(passed); }));
    start(server);
    connected();
    auto client = proxy.client();
    client.send(post("/p", "a body that is here already") + get("/next"));
    EXPECT_EQ(client.read_response().body, "POST /p a body that is here already");
    EXPECT_EQ(client.read_response().body, "GET /next ");
}

TEST_F(RedisTest, an_answer_in_pieces_is_an_answer) {
    Origin server(greeting_and([](Peer& peer) {
        for (const char each : std::string_view(passed)) peer.send({&each, 1});
    }));
    start(server);
    connected();
    EXPECT_EQ(ask().status(), 200);
    EXPECT_EQ(count(RedisResult::ok), 1U);
}

TEST_F(RedisTest, what_answers_is_no_redis_and_the_own_share_counts) {
    Origin server([](Peer& peer) {
        if (read_until(peer, "SCRIPT")) peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    start(server);
    ASSERT_TRUE(eventually([this] { return redis().problem == "what answers there is no Redis"; })) << redis().problem;
    for (int i = 0; i < 6; ++i) EXPECT_EQ(ask().status(), 200) << i;
    EXPECT_EQ(ask().status(), 429);
}

TEST_F(RedisTest, an_answer_that_is_none_of_the_script_is_no_verdict) {
    std::atomic<int> turn = 0;
    Origin server(greeting_and([&](Peer& peer) {
        static constexpr const char* answers[] = {"+OK\r\n", "*3\r\n:1\r\n:2\r\n:3\r\n", "$-1\r\n"};
        peer.send(answers[turn++ % 3]);
    }));
    start(server);
    connected();
    for (int i = 0; i < 3; ++i) EXPECT_EQ(ask().status(), 200);
    EXPECT_EQ(count(RedisResult::error), 2U) << "numbers are an answer, whatever they mean";
}

TEST_F(RedisTest, a_connection_that_stays_silent_for_a_second_is_given_up_for_a_new_one) {
    Origin server(greeting_and([](Peer&) {}));
    start(server, std::chrono::milliseconds{20});
    connected();
    const auto deadline = Clock::now() + patience;
    while (server.connections() < 2 && Clock::now() < deadline) ask();
    EXPECT_GE(server.connections(), 2);
    EXPECT_GE(count(RedisResult::timeout), 5U);
    EXPECT_GT(count(RedisResult::skipped), count(RedisResult::timeout));
}

TEST_F(RedisTest, who_says_what_nobody_asked_for_is_not_believed_any_further) {
    Origin server([](Peer& peer) {
        if (!read_until(peer, "return verdicts\n\r\n")) return;
        peer.send("$40\r\n0123456789012345678901234567890123456789\r\n" + std::string(passed));
        peer.read_to_end();
    });
    start(server);
    ASSERT_TRUE(eventually([&] { return server.connections() >= 2; }));
}

TEST_F(RedisTest, a_client_that_leaves_does_not_hold_its_request) {
    std::atomic<int> asked = 0;
    Origin server(greeting_and([&](Peer& peer) {
        if (++asked > 1) peer.send(std::string(passed) + passed);
    }));
    start(server);
    connected();
    auto client = proxy.client();
    client.send(get());
    ASSERT_TRUE(eventually([&] { return asked == 1; }));
    hang_up(client);
    EXPECT_TRUE(eventually([this] { return proxy.server().stats().client_aborts == 1; }));
    EXPECT_EQ(count(RedisResult::timeout), 0U);
    EXPECT_EQ(ask().status(), 200) << "the late answer is not taken for another one's";
    EXPECT_EQ(count(RedisResult::ok), 1U);
}

TEST_F(RedisTest, questions_under_way_have_a_bound) {
    std::atomic<int> asked = 0;
    std::atomic<bool> go = false;
    Origin server(greeting_and([&](Peer& peer) {
        ++asked;
        eventually([&] { return go.load(); });
        peer.send(passed);
    }));
    proxy.config.redis.max_in_flight = 1;
    start(server);
    connected();
    auto first = proxy.client();
    first.send(get());
    ASSERT_TRUE(eventually([&] { return asked == 1; }));
    EXPECT_EQ(ask().status(), 200) << "by the own share";
    EXPECT_EQ(count(RedisResult::busy), 1U);
    go = true;
    EXPECT_EQ(first.read_response().status(), 200);
}

TEST_F(RedisTest, a_reload_without_it_lets_those_who_wait_go_on) {
    std::atomic<int> asked = 0;
    Origin server(greeting_and([&](Peer&) { ++asked; }));
    start(server);
    connected();
    auto client = proxy.client();
    client.send(get());
    ASSERT_TRUE(eventually([&] { return asked == 1; }));
    proxy.config.routes[0].limits.clear();
    proxy.server().apply(proxy.config, {{"app", proxy.pool}});
    EXPECT_EQ(client.read_response().status(), 200);
    EXPECT_FALSE(proxy.server().stats().redis);
    EXPECT_EQ(ask().status(), 200);
}

// As a Redis with `maxclients`. Half of all requests are of the reactor that has no connection.
TEST_F(RedisTest, a_reactor_that_cannot_connect_does_not_cost_the_others_their_redis) {
    std::atomic<bool> taken = false;
    const auto serve = greeting_and([](Peer& peer) { peer.send(passed); });
    Origin server([&](Peer& peer) {
        if (!taken.exchange(true)) return serve(peer);
        eventually([this] { return redis().connections == 1; });
        peer.send("-ERR max number of clients reached\r\n");
    });
    proxy.config.redis.proxies = 1000;
    start(server, std::chrono::seconds{1}, 2);
    connected();
    EXPECT_TRUE(eventually([&] {
        ask();
        return redis().connects_failed >= 4 && count(RedisResult::ok) >= 20 && count(RedisResult::lost) >= 10;
    })) << redis().problem;
    EXPECT_EQ(redis().trips, 0U);
    EXPECT_EQ(count(RedisResult::skipped), 0U);
}

TEST_F(RedisTest, lost_and_found_again_by_a_reload_is_told_both) {
    char path[] = "/tmp/plimsoll-redis-log-XXXXXX";
    ::close(::mkstemp(path));
    config::Log settings;
    settings.file = path;
    log::start(settings);
    const auto told = [&](std::string_view event) {
        std::stringstream text;
        text << std::ifstream(path).rdbuf();
        return text.str().find(event) != std::string::npos;
    };
    Origin mute(greeting_and([](Peer&) {})), good(greeting_and([](Peer&peer) { peer.send(passed); }));
    start(mute, std::chrono::milliseconds{20});
    connected();
    EXPECT_TRUE(eventually([&] {
        ask();
        return told("redis_lost");
    }));
    proxy.config.redis.url = "redis://" + good.address();
    proxy.config.redis.timeout = std::chrono::seconds{1};
    proxy.server().apply(proxy.config, {{"app", proxy.pool}});
    EXPECT_FALSE(told("redis_back")) << "it has not answered anything yet";
    EXPECT_TRUE(eventually([&] {
        ask();
        return told("redis_back");
    }));
    EXPECT_EQ(redis().problem, "");
    log::stop();
    std::remove(path);
}

} // namespace
} // namespace plimsoll::net::testing
