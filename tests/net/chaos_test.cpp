// Everything at once, from a seed: clients that pipeline, dawdle and vanish; workers that chunk, dribble and die; too few
// slots, so that requests wait. Whatever an answer is, it is the answer to the request that got it.
#include <random>

#include <gtest/gtest.h>

#include "proxy.hpp"

namespace plimsoll::net::testing {
namespace {

using Random = std::mt19937;

unsigned pick(Random& random, unsigned bound) { return static_cast<unsigned>(random() % bound); }

// The body repeats the path and ends with the request's body, so that any mixing shows.
std::string expected(const std::string& path, const std::string& body, unsigned times) {
    std::string text;
    for (unsigned i = 0; i < times; ++i) text += path + ";";
    return text + body;
}

void moody_worker(Peer& peer, Random random) {
    while (true) {
        const auto request = peer.read_request();
        if (!request.complete) return;
        const auto from = request.head.find(' ') + 1;
        const auto path = request.head.substr(from, request.head.find(' ', from) - from);
        const auto body = expected(path, request.body, static_cast<unsigned>(std::stoul(request.field("x-times"))));
        const auto mood = pick(random, 100);
        if (mood < 4) return; // dies of it
        if (mood < 20) std::this_thread::sleep_for(std::chrono::microseconds{pick(random, 3000)});
        std::string bytes = "HTTP/1.1 200 OK\r\n";
        if (mood % 3 == 0) {
            bytes += "Transfer-Encoding: chunked\r\n\r\n";
            for (std::size_t at = 0; at < body.size();) {
                const auto size = std::min<std::size_t>(body.size() - at, 1 + pick(random, 5000));
                char line[20];
                std::snprintf(line, sizeof line, "%zx\r\n", size);
                bytes += line + body.substr(at, size) + "\r\n";
                at += size;
            }
            bytes += "0\r\n\r\n";
        } else if (mood % 3 == 1) {
            bytes += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
        } else {
            bytes += "Connection: close\r\n\r\n" + body;
        }
        // Dies in the middle of it; where the end of the connection is the end of the body nobody could tell.
        const bool dies = mood < 8 && mood % 3 != 2;
        if (dies) bytes.resize(pick(random, static_cast<unsigned>(bytes.size())));
        const auto cut = mood < 40 ? pick(random, static_cast<unsigned>(bytes.size()) + 1) : 0;
        peer.send(std::string_view(bytes).substr(0, cut));
        if (cut) std::this_thread::sleep_for(std::chrono::microseconds{pick(random, 500)});
        if (!peer.send(std::string_view(bytes).substr(cut))) return;
        if (dies || mood % 3 == 2) return;
    }
}

struct Tally {
    std::atomic<unsigned> answered = 0, broken = 0, refused = 0, left = 0;
};

void restless_client(Proxy& proxy, unsigned id, unsigned requests, Tally& tally) {
    Random random(id);
    Peer client;
    unsigned number = 0;
    while (number < requests) {
        if (client.fd() < 0) client = proxy.client();
        struct Asked {
            std::string path, body;
            unsigned times;
        };
        std::vector<Asked> asked;
        std::string bytes;
        const auto pipelined = pick(random, 10) ? 1U : 1 + pick(random, 4);
        for (unsigned i = 0; i < pipelined; ++i, ++number) {
            Asked one{"/" + std::to_string(id) + "/" + std::to_string(number), "",
                      pick(random, 8) ? 1 : pick(random, 20'000)};
            const auto kind = pick(random, 4);
            if (kind >= 2)
                one.body = std::string(pick(random, pick(random, 10) ? 200 : 150'000), static_cast<char>('a' + id));
            const auto more = "X-Times: " + std::to_string(one.times) + "\r\n";
            if (kind < 2)
                bytes += get(one.path, more);
            else if (kind == 2)
                bytes += post(one.path, one.body, more);
            else {
                char line[20];
                std::snprintf(line, sizeof line, "%zx\r\n", one.body.size());
                bytes += "PUT " + one.path + " HTTP/1.1\r\nHost: t\r\n" + more + "Transfer-Encoding: chunked\r\n\r\n" +
                         (one.body.empty() ? "" : line + one.body + "\r\n") + "0\r\n\r\n";
            }
            asked.push_back(std::move(one));
        }
        const auto mood = pick(random, 100);
        if (mood < 5) { // vanishes in the middle of asking, or while it waits
            client.send(std::string_view(bytes).substr(0, pick(random, static_cast<unsigned>(bytes.size())) + 1));
            mood % 2 ? client.close() : client.reset();
            ++tally.left;
            continue;
        }
        std::thread writer(
            [&] { client.send(bytes); }); // answers to the first may fill the pipe before the last is sent
        for (const auto& one : asked) {
            const auto answer = client.read_response();
            if (answer.status() == 200 && answer.complete) {
                ++tally.answered;
                ASSERT_TRUE(answer.body == expected(one.path, one.body, one.times))
                    << one.path << " got another's answer";
            } else if (answer.complete && answer.status() >= 500) {
                ++tally.refused;
                EXPECT_TRUE(answer.has("x-plimsoll-reason"));
            } else {
                ++tally.broken; // the worker died in the middle: the connection ends
                break;
            }
        }
        writer.join();
        if (client.ended(std::chrono::milliseconds{0})) client.close();
    }
}

class Chaos : public ::testing::TestWithParam<bool> {};

TEST_P(Chaos, no_client_ever_gets_the_answer_to_anothers_request) {
    std::atomic<unsigned> seed = 0;
    const auto worker = [&](Peer& peer) { moody_worker(peer, Random(1000 + seed++)); };
    Origin one(worker), two(worker, true);
    Proxy proxy;
    proxy.config.routes[0].stream = GetParam();
    proxy.config.pools[0].upstream.idle_timeout = std::chrono::milliseconds{20};
    proxy.add_worker(one.address(), 2);
    proxy.add_worker(two.address(), 2);
    proxy.start();
    Tally tally;
    std::vector<std::thread> clients;
    for (unsigned i = 0; i < 12; ++i) clients.emplace_back([&, i] { restless_client(proxy, i, 120, tally); });
    for (auto& client : clients) client.join();
    EXPECT_GT(tally.answered, 700u);
    EXPECT_GT(tally.left, 10u);
    EXPECT_GT(tally.broken + tally.refused, 10u);
    EXPECT_TRUE(eventually([&] { return proxy.server().stats().connections_open == 0; }));
    EXPECT_TRUE(eventually([&] { return proxy.server().stats().upstream_idle == 0; }));
    EXPECT_EQ(proxy.server().stats().buffered_bytes, 0u);
}
INSTANTIATE_TEST_SUITE_P(bodies, Chaos, ::testing::Values(false, true),
                         [](const auto& info) { return info.param ? "streamed" : "buffered"; });

} // namespace
} // namespace plimsoll::net::testing
