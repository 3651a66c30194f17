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

// What goes over the wires, and what was asked for; a POST where nothing else is said, so that it is not tried again.
struct Scripted {
    std::string bytes;
    std::string method = "POST";
    bool waits_to_go_on = false; // the client sends its body when it is told to
    bool until_close = false;
};

const std::vector<Scripted>& scripts() {
    static const std::string ok = "HTTP/1.1 200 OK\r\n", chunks = ok + "Transfer-Encoding: chunked\r\n\r\n";
    static const std::string hint = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    static const std::vector<Scripted> all = {
        {ok + "Content-Length: 6\r\nX-A: b\r\n\r\nanswer"},
        {chunks + "4\r\nansw\r\n2;e=\"f\"\r\ner\r\n0\r\nX-Sum: 1\r\n\r\n"},
        {.bytes = ok + "Connection: close\r\n\r\nanswer", .until_close = true},
        {hint + ok + "Content-Length: 6\r\n\r\nanswer"},
        {"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n"},
        {ok + "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n0\r\n\r\n"},
        {hint + "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"},
        {"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 6\r\n\r\n"},
        {ok + "Content-Length: 6\r\nX-A: b\r\n\r\n", "HEAD"},
        {chunks, "HEAD"},
        {hint + ok + "Content-Type: text/plain\r\n\r\n", "HEAD"},
        {"HTTP/1.1 100 Continue\r\n\r\n" + ok + "Content-Length: 6\r\n\r\nanswer", "POST", true},
        {"HTTP/1.1 413 Content Too Large\r\nContent-Length: 6\r\n\r\nanswer", "POST", true},
    };
    return all;
}

constexpr auto body = "("; // which in front of a request makes another one of it

std::string path_of(const Message& request) {
    const auto from = request.head.find('/') + 1;
    return request.head.substr(from, request.head.find(' ', from) - from);
}

// "/FAULT/SCRIPT/N" is answered so; all else with its path. One that is to be told to go on has no body yet, where the worker is
// the one to say it.
void faulty_worker(Peer& peer, Protocol protocol) {
    while (true) {
        auto request = protocol == Protocol::uwsgi ? peer.read_packet(true) : peer.read_request(true);
        if (!request.complete) return;
        const auto path = path_of(request);
        const auto length = protocol == Protocol::uwsgi ? "content_length" : "content-length";
        if (request.has(length) && !request.has("expect")) {
            std::size_t left = std::stoul(request.field(length));
            while (left > 0) {
                const auto some = peer.read_some(left);
                if (some.empty()) return;
                left -= some.size();
            }
        }
        unsigned fault = 0, number = 0, n = 0;
        if (std::sscanf(path.c_str(), "%u/%u/%u", &fault, &number, &n) != 3) {
            if (!peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(path.size()) + "\r\n\r\n" + path))
                return;
            continue;
        }
        peer.send(at_byte(scripts()[number].bytes, static_cast<Fault>(fault), n));
        if (static_cast<Fault>(fault) == Fault::reset) return peer.reset();
        if (static_cast<Fault>(fault) == Fault::stall) { // until it is hung up on
            while (!peer.read_some().empty()) {
            }
            return;
        }
        if (static_cast<Fault>(fault) == Fault::close || scripts()[number].until_close || request.has("expect")) return;
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

struct FaultyWorker {
    Fault fault;
    Protocol protocol;
    bool streamed;
};

std::vector<FaultyWorker> kinds_of_workers() {
    std::vector<FaultyWorker> kinds;
    for (const auto fault : all_faults)
        for (const auto protocol : {Protocol::http, Protocol::uwsgi})
            for (const bool streamed : {false, true}) kinds.push_back({fault, protocol, streamed});
    return kinds;
}

class ByteNOfAWorker : public ::testing::TestWithParam<FaultyWorker> {};

TEST_P(ByteNOfAWorker, is_no_harm_to_the_next_request_which_gets_its_own_answer) {
    const auto [fault, protocol, streamed] = GetParam();
    Origin origin([protocol = protocol](Peer& peer) { faulty_worker(peer, protocol); });
    Proxy proxy;
    const bool waits = fault == Fault::stall || fault == Fault::lie; // of a longer body, say
    if (waits) {
        proxy.config.pools[0].upstream.response_timeout = std::chrono::milliseconds{30};
        proxy.config.pools[0].upstream.read_timeout = std::chrono::milliseconds{30};
    }
    proxy.config.routes[0].stream = streamed;
    proxy.add_worker(origin.address(), 64, protocol);
    proxy.start();
    struct Try {
        unsigned script, n;
    };
    std::vector<Try> tries;
    for (unsigned script = 0; script < scripts().size(); ++script)
        for (unsigned n = 0; n < scripts()[script].bytes.size(); ++n) tries.push_back({script, n});
    std::atomic<std::size_t> next = 0, whole = 0;
    const auto work = [&, fault = fault](unsigned id) {
        Peer client, other;
        for (auto i = next++; i < tries.size(); i = next++) {
            const auto [number, n] = tries[i];
            const auto& script = scripts()[number];
            SCOPED_TRACE(std::string(names[static_cast<unsigned>(fault)]) + " at byte " + std::to_string(n) + " of\n" +
                         script.bytes);
            if (client.fd() < 0 || client.ended(std::chrono::milliseconds{0})) client = proxy.client();
            client.send(script.method + " /" + std::to_string(static_cast<unsigned>(fault)) + "/" +
                        std::to_string(number) + "/" + std::to_string(n) + " HTTP/1.1\r\nHost: test\r\n" +
                        (script.waits_to_go_on ? "Expect: 100-continue\r\n" : "") +
                        (script.method == "POST" ? "Content-Length: 1\r\n\r\n" : "\r\n") +
                        (script.method == "POST" && !script.waits_to_go_on ? body : ""));
            Message answer;
            do {
                answer = client.read_response(script.method == "HEAD");
                if (answer.status() == 100 && script.waits_to_go_on) client.send(body);
            } while (answer.status() >= 100 && answer.status() < 200);
            const bool cut = fault == Fault::close || fault == Fault::stall || fault == Fault::reset;
            const bool ends_with_connection = script.until_close && n >= script.bytes.find("\r\n\r\n") + 4;
            if (cut && !(ends_with_connection && fault == Fault::close)) {
                EXPECT_FALSE(answer.complete && answer.status() < 500) << answer.head << answer.body;
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
INSTANTIATE_TEST_SUITE_P(faults, ByteNOfAWorker, ::testing::ValuesIn(kinds_of_workers()), [](const auto& info) {
    return std::string(names[static_cast<std::size_t>(info.param.fault)]) +
           (info.param.protocol == Protocol::uwsgi ? "_uwsgi" : "_http") + (info.param.streamed ? "_streamed" : "");
});

TEST(ByteN, whatever_a_client_does_at_byte_n_no_worker_takes_a_part_for_the_whole) {
    const std::vector<std::string> requests = {
        get("/first", "Cookie: a=b\r\n"),
        post("/first", "a body"),
        "POST /first HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\na "
        "bo\r\n2\r\ndy\r\n0\r\nX-Sum: 1\r\n\r\n",
        post("/first", "a body", "Expect: 100-continue\r\n"),
        "HEAD /first HTTP/1.1\r\nHost: test\r\nCookie: a=b\r\n\r\n",
    };
    struct {
        bool streamed;
        Protocol protocol;
    } const kinds[] = {
        {false, Protocol::http}, {true, Protocol::http}, {false, Protocol::uwsgi}, {true, Protocol::uwsgi}};
    for (const auto& [streamed, protocol] : kinds) {
        std::mutex mutex;
        std::map<std::string, int> seen; // what reached the worker, complete
        Origin origin([&, protocol = protocol](Peer& peer) {
            while (true) {
                const auto request = protocol == Protocol::uwsgi ? peer.read_packet() : peer.read_request();
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
        proxy.add_worker(origin.address(), 64, protocol);
        proxy.start();
        for (const auto& request : requests) {
            // 411, since nobody knows its length
            if (streamed && protocol == Protocol::uwsgi && request.find("chunked") != request.npos) continue;
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
                            const bool head_only =
                                request.starts_with("HEAD ") && n >= std::string_view("HEAD ").size();
                            auto answer = client.read_response(head_only);
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
    const std::string requests[] = {get("/first"), post("/first", "a body"), chunks,
                                    post("/first", "a body", "Expect: 100-continue\r\n"),
                                    "HEAD /first HTTP/1.1\r\nHost: test\r\n\r\n"};
    for (const auto protocol : {Protocol::http, Protocol::uwsgi})
        for (const auto& request : requests) {
            std::mutex mutex;
            std::vector<std::string> seen;
            Origin origin([&](Peer& peer) {
                while (true) {
                    const auto got = protocol == Protocol::uwsgi ? peer.read_packet() : peer.read_request();
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
            proxy.add_worker(origin.address(), 64, protocol);
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
