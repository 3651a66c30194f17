// A scripted peer that closes, resets, stalls or lies at byte n, for all n, at either end: whatever becomes of that message, the
// next request on the same connection, and that of another client, gets its own answer; and no slot or buffer is lost.
#include <array>
#include <map>

#include <gtest/gtest.h>

#include "proxy.hpp"

namespace plimsoll::net::testing {
namespace {

enum class Fault : std::uint8_t { close, reset, stall, lie };
constexpr std::array all_faults{Fault::close, Fault::reset, Fault::stall, Fault::lie};
constexpr std::array names{"close", "reset", "stall", "lie"};
constexpr std::string_view lies{"\0\n\r9 z:;\xff", 9}; // what breaks parsers

std::string at_byte(const std::string& bytes, Fault fault, std::size_t n) {
    auto sent = bytes.substr(0, fault == Fault::lie ? bytes.size() : n);
    if (fault == Fault::lie) sent[n] = lies[n % lies.size()];
    return sent;
}

const std::vector<std::string>& answers() {
    static const std::string ok = "HTTP/1.1 200 OK\r\n", chunks = ok + "Transfer-Encoding: chunked\r\n\r\n";
    static const std::vector<std::string> all = {
        ok + "Content-Length: 6\r\nX-A: b\r\n\r\nanswer",
        chunks + "4\r\nansw\r\n2;e=\"f\"\r\ner\r\n0\r\nX-Sum: 1\r\n\r\n",
        ok + "Connection: close\r\n\r\nanswer",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok + "Content-Length: 6\r\n\r\nanswer",
        "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n",
        ok + "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n0\r\n\r\n",
    };
    return all;
}

std::string path_of(const Message& request) {
    const auto from = request.head.find('/') + 1;
    return request.head.substr(from, request.head.find(' ', from) - from);
}

// "/FAULT/SHAPE/N" is answered so; all else with its path.
void faulty_worker(Peer& peer) {
    while (true) {
        const auto request = peer.read_request();
        if (!request.complete) return;
        const auto path = path_of(request);
        unsigned fault = 0, shape = 0, n = 0;
        if (std::sscanf(path.c_str(), "%u/%u/%u", &fault, &shape, &n) != 3) {
            if (!peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(path.size()) + "\r\n\r\n" + path))
                return;
            continue;
        }
        peer.send(at_byte(answers()[shape], static_cast<Fault>(fault), n));
        if (static_cast<Fault>(fault) == Fault::reset) return peer.reset();
        if (static_cast<Fault>(fault) == Fault::stall) return static_cast<void>(peer.ended());
        if (static_cast<Fault>(fault) == Fault::close || shape == 2) return;
    }
}

// Asks for `path` and expects it as the answer, on this connection if that is still open, else on a new one.
bool answered(Proxy& proxy, Peer& client, const std::string& path, bool may_be_late) {
    if (client.fd() < 0 || client.ended(std::chrono::milliseconds{0})) client = proxy.client();
    client.send(get("/" + path));
    auto answer = client.read_response();
    if (answer.head.empty()) { // it ended while we asked
        client = proxy.client();
        client.send(get("/" + path));
        answer = client.read_response();
    }
    return (answer.status() == 200 && answer.body == path) || (may_be_late && answer.status() == 504);
}

class ByteNOfAWorker : public ::testing::TestWithParam<Fault> {};

TEST_P(ByteNOfAWorker, is_no_harm_to_the_next_request_which_gets_its_own_answer) {
    const auto fault = GetParam();
    Origin origin(faulty_worker);
    Proxy proxy;
    const bool waits = fault == Fault::stall || fault == Fault::lie; // of a longer body, say
    if (waits) {
        proxy.config.pools[0].upstream.response_timeout = std::chrono::milliseconds{30};
        proxy.config.pools[0].upstream.read_timeout = std::chrono::milliseconds{30};
    }
    proxy.add_worker(origin.address(), 64);
    proxy.start();
    struct Try {
        unsigned shape, n;
    };
    std::vector<Try> tries;
    for (unsigned shape = 0; shape < answers().size(); ++shape)
        for (unsigned n = 0; n < answers()[shape].size(); ++n) tries.push_back({shape, n});
    std::atomic<std::size_t> next = 0, whole = 0;
    const auto work = [&](unsigned id) {
        Peer client, other;
        for (auto i = next++; i < tries.size(); i = next++) {
            const auto& [shape, n] = tries[i];
            SCOPED_TRACE(std::string(names[static_cast<unsigned>(fault)]) + " at byte " + std::to_string(n) + " of\n" +
                         answers()[shape]);
            if (client.fd() < 0 || client.ended(std::chrono::milliseconds{0})) client = proxy.client();
            // A POST, so that it is not tried again.
            client.send(post("/" + std::to_string(static_cast<unsigned>(fault)) + "/" + std::to_string(shape) + "/" +
                                 std::to_string(n),
                             "x"));
            auto answer = client.read_response();
            while (answer.status() >= 100 && answer.status() < 200) answer = client.read_response();
            const bool cut = fault == Fault::close || fault == Fault::stall || fault == Fault::reset;
            const bool ends_with_connection = shape == 2 && n >= answers()[2].find("\r\n\r\n") + 4;
            if (cut && !(ends_with_connection && fault == Fault::close)) {
                EXPECT_FALSE(answer.complete && answer.status() / 100 == 2) << answer.head << answer.body;
            }
            whole += answer.complete;
            const auto mark = std::to_string(id) + "-" + std::to_string(i);
            EXPECT_TRUE(answered(proxy, client, "next-" + mark, waits));
            EXPECT_TRUE(answered(proxy, other, "other-" + mark, waits));
        }
    };
    std::vector<std::thread> clients;
    for (unsigned id = 0; id < 16; ++id) clients.emplace_back(work, id);
    for (auto& client : clients) client.join();
    EXPECT_GT(whole, 0u); // 502 and 504 are whole
    EXPECT_TRUE(eventually([&] { return proxy.server().stats().buffered_bytes == 0; }));
}
INSTANTIATE_TEST_SUITE_P(faults, ByteNOfAWorker, ::testing::ValuesIn(all_faults),
                         [](const auto& info) { return names[static_cast<std::size_t>(info.param)]; });

TEST(ByteN, whatever_a_client_does_at_byte_n_no_worker_takes_a_part_for_the_whole) {
    const std::vector<std::string> requests = {
        get("/first", "Cookie: a=b\r\n"),
        post("/first", "a body"),
        "POST /first HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\na "
        "bo\r\n2\r\ndy\r\n0\r\nX-Sum: 1\r\n\r\n",
        post("/first", "a body", "Expect: 100-continue\r\n"),
    };
    for (const bool streamed : {false, true}) {
        std::mutex mutex;
        std::map<std::string, int> seen; // what reached the worker, complete
        Origin origin([&](Peer& peer) {
            while (true) {
                const auto request = peer.read_request();
                if (!request.complete) return;
                const auto line = request.head.substr(0, request.head.find("\r\n"));
                {
                    const std::lock_guard lock(mutex);
                    ++seen[line + " " + request.body];
                }
                if (!peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) return;
            }
        });
        Proxy proxy;
        proxy.config.routes[0].stream = streamed;
        proxy.config.listeners[0].header_timeout = std::chrono::milliseconds{30};
        proxy.config.listeners[0].body_timeout = std::chrono::milliseconds{30};
        proxy.add_worker(origin.address(), 64);
        proxy.start();
        for (const auto& request : requests) {
            std::vector<std::thread> clients;
            std::atomic<std::size_t> next = 0;
            for (unsigned id = 0; id < 16; ++id)
                clients.emplace_back([&] {
                    for (auto i = next++; i < (request.size() - 1) * 3; i = next++) {
                        const auto fault = all_faults[i % 3];
                        const auto n = i / 3 + 1;
                        auto client = proxy.client();
                        client.send(request.substr(0, n));
                        if (fault == Fault::reset) {
                            client.reset();
                        } else {
                            if (fault == Fault::close) client.finish_writing();
                            auto answer = client.read_response();
                            if (answer.status() == 100) answer = client.read_response();
                            // On a slow machine the end may come after the time is up; streamed, it may be seen first
                            // as a client that left.
                            const auto status = answer.status();
                            const bool told = status == 408 || (fault == Fault::close && (status == 400 || streamed));
                            EXPECT_TRUE(told) << names[i % 3] << " at byte " << n << " of\n" << request << answer.head;
                            EXPECT_TRUE(client.ended());
                        }
                    }
                });
            for (auto& client : clients) client.join();
        }
        EXPECT_TRUE(eventually([&] { return proxy.server().stats().connections_open == 0; }));
        EXPECT_TRUE(eventually([&] { return proxy.server().stats().buffered_bytes == 0; }));
        const std::lock_guard lock(mutex);
        EXPECT_TRUE(seen.empty()) << seen.begin()->first;
    }
}

// The lie may make another request of it (a shorter body, another path), but never two of one.
TEST(ByteN, a_lie_at_byte_n_never_makes_two_requests_of_one) {
    const std::string chunks =
        "POST /first HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\na bo\r\n2\r\ndy\r\n0\r\n\r\n";
    for (const auto& request : {get("/first"), post("/first", "a body"), chunks}) {
        std::mutex mutex;
        std::vector<std::string> seen;
        Origin origin([&](Peer& peer) {
            while (true) {
                const auto got = peer.read_request();
                if (!got.complete) return;
                {
                    const std::lock_guard lock(mutex);
                    seen.push_back(got.head);
                }
                if (!peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) return;
            }
        });
        Proxy proxy;
        proxy.config.listeners[0].header_timeout = std::chrono::milliseconds{30};
        proxy.config.listeners[0].body_timeout = std::chrono::milliseconds{30};
        proxy.add_worker(origin.address(), 64);
        proxy.start();
        for (std::size_t n = 0; n < request.size(); ++n)
            for (const char lie : lies) {
                auto bytes = request;
                bytes[n] = lie;
                auto client = proxy.client();
                client.send(bytes + get("/second", "Connection: close\r\n"));
                client.read_to_end();
                const std::lock_guard lock(mutex);
                const auto found = std::exchange(seen, {});
                EXPECT_LE(found.size(), 2u) << n;
                for (std::size_t i = 1; i < found.size(); ++i)
                    EXPECT_NE(found[i].find(" /second "), std::string::npos) << "byte " << n << "\n"
                                                                             << bytes << found[i];
            }
    }
}

} // namespace
} // namespace plimsoll::net::testing
