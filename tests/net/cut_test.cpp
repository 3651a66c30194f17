// Every shape of request and answer in 32 KB, cut in two at every byte: what the other side sees must be what it sees of the
// whole. Unix sockets at both ends, because there a sender can tell that its first piece was read before it sends the second:
// the cut is real, and costs no pause. Every cut takes minutes, so that by default those near both ends are tried and some of
// the others; PLIMSOLL_EVERY_CUT=1 tries all.
#include <array>
#include <cstdlib>

#include <gtest/gtest.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/address.hpp"
#include "proxy.hpp"

namespace plimsoll::net::testing {
namespace {

constexpr std::size_t shape_size = 32 << 10;

bool was_read(const Peer& peer) {
    const auto all = [&peer] {
        int unread = 0;
        return ::ioctl(peer.fd(), SIOCOUTQ, &unread) == 0 && unread == 0;
    };
    for (int i = 0; i < 20; ++i) { // it mostly is within a fraction of eventually()'s millisecond
        if (all()) return true;
        std::this_thread::sleep_for(std::chrono::microseconds{20});
    }
    return eventually(all);
}

std::vector<std::size_t> cuts_of(std::size_t size) {
    constexpr std::size_t near = 64, stride = 1021;
    const bool all = std::getenv("PLIMSOLL_EVERY_CUT") != nullptr;
    std::vector<std::size_t> cuts;
    for (std::size_t cut = 1; cut < size; ++cut)
        if (all || cut < near || size - cut < near || cut % stride == 0) cuts.push_back(cut);
    return cuts;
}

std::string text_of(std::size_t size) {
    std::string text;
    for (unsigned i = 0; text.size() < size; ++i) text += std::to_string(i) + (i % 7 ? " " : "\r\n");
    text.resize(size);
    return text;
}

// Chunks of 1, 2, 4, 7, 13... bytes with an extension here and there, and trailers.
std::string chunked(std::size_t size) {
    const auto text = text_of(size);
    std::string bytes;
    for (std::size_t at = 0, piece = 1, number = 0; at < text.size(); at += piece, ++number) {
        piece = std::min(text.size() - at, piece * 7 / 4 + 1);
        std::array<char, 20> line;
        std::snprintf(line.data(), line.size(), number % 3 ? "%zx" : "%zX;a=\"b\"", piece);
        bytes += line.data() + std::string("\r\n") + text.substr(at, piece) + "\r\n";
        if (piece > 2000) piece = 1;
    }
    return bytes + "0\r\nX-Sum: 42\r\n\r\n";
}

std::string many_fields() {
    std::string fields;
    for (unsigned i = 0; i < 60; ++i) fields += "X-Field-" + std::to_string(i) + ": " + std::string(480, 'v') + "\r\n";
    return fields;
}

// One client and one worker by hand, in this thread.
class Wires {
public:
    explicit Wires(bool streamed, Protocol protocol = Protocol::http, std::int64_t max_body = 1 << 20)
        : protocol_(protocol) {
        const auto base = "/tmp/plimsoll-cut-" + std::to_string(::getpid());
        path_ = base + "-worker";
        sockaddr_storage storage{};
        socklen_t length = 0;
        to_sockaddr(*parse_address("unix:" + path_), storage, length);
        ::unlink(path_.c_str());
        listening_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ::bind(listening_, reinterpret_cast<sockaddr*>(&storage), length);
        ::listen(listening_, 16);
        proxy_.config.listeners[0].address = "unix:" + base + "-client";
        proxy_.config.listeners[0].max_body.count = max_body;
        proxy_.config.routes[0].stream = streamed;
        proxy_.add_worker("unix:" + path_, 8, protocol);
        proxy_.start();
    }
    ~Wires() {
        ::close(listening_);
        ::unlink(path_.c_str());
    }

    Peer& client() {
        if (client_.fd() < 0) client_ = proxy_.client();
        return client_;
    }
    // What the worker is asked for, in its protocol.
    Message request(bool to_head = false) {
        auto& from = worker();
        return protocol_ == Protocol::uwsgi ? from.read_packet(to_head) : from.read_request(to_head);
    }
    Peer& asked() { return worker_; } // the same once more, which may have nothing to say
    bool nobody_came_to_the_worker() {
        pollfd poll{listening_, POLLIN, 0};
        return ::poll(&poll, 1, 0) == 0;
    }
    void hang_up() { worker_.close(); }
    void new_client() { client_ = {}; }

private:
    // The worker's end of the connection on which the next request comes.
    Peer& worker() {
        while (true) {
            std::array<pollfd, 2> polls{{{listening_, POLLIN, 0}, {worker_.fd(), POLLIN, 0}}};
            if (::poll(polls.data(), polls.size(), static_cast<int>(patience.count())) <= 0) return worker_;
            if (polls[0].revents) {
                worker_ = Peer(::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC));
            } else if (worker_.ended(std::chrono::milliseconds{0})) {
                worker_.close();
            } else {
                return worker_;
            }
        }
    }

    Proxy proxy_;
    Peer client_, worker_;
    std::string path_;
    const Protocol protocol_;
    int listening_ = -1;
};

struct Way {
    bool streamed;
    Protocol protocol;
};
constexpr std::array ways{Way{false, Protocol::http}, Way{true, Protocol::http}, Way{false, Protocol::uwsgi},
                          Way{true, Protocol::uwsgi}};

std::string said(const Way& way) {
    return std::string(way.streamed ? "streamed, " : "buffered, ") +
           (way.protocol == Protocol::uwsgi ? "a worker that speaks uwsgi" : "a worker that speaks HTTP");
}

void send_cut(Peer& peer, const std::string& bytes, std::size_t cut) {
    if (cut == 0) cut = bytes.size(); // nowhere
    peer.send(std::string_view(bytes).substr(0, cut));
    if (cut == bytes.size()) return;
    EXPECT_TRUE(was_read(peer)) << "nobody read the first " << cut << " bytes";
    peer.send(std::string_view(bytes).substr(cut));
}

// What is the same in every run: not ids and dates, nor whether the client waited to be told to go on.
std::string stable(const Message& message) {
    std::string text = message.complete ? "whole\n" : "broken\n";
    for (std::size_t at = 0; at < message.head.size();) {
        const auto end = message.head.find("\r\n", at) + 2;
        const auto line = message.head.substr(at, end - at);
        const bool differs = line.starts_with("X-Request-Id:") || line.starts_with("traceparent:") ||
                             line.starts_with("Date:") || line.starts_with("HTTP_X_REQUEST_ID:") ||
                             line.starts_with("HTTP_TRACEPARENT:") || line.starts_with("Expect:");
        if (!differs) text += line;
        at = end;
    }
    return text + message.body;
}

struct Shape {
    std::string name, bytes;
    unsigned requests = 1;
    bool head_only = false; // is what it asks for
};

Message read_final(Peer& client, bool head_only) {
    while (true) {
        auto answer = client.read_response(head_only);
        if (answer.status() / 100 != 1) return answer;
    }
}

std::vector<Shape> request_shapes() {
    const std::string start = "PUT /path?query HTTP/1.1\r\nHost: test\r\n";
    return {
        {"long head", get("/" + std::string(500, 'p'), many_fields())},
        {"length", start + "Content-Length: 32600\r\n\r\n" + text_of(32600)},
        {"chunks", start + "Transfer-Encoding: chunked\r\n\r\n" + chunked(shape_size)},
        {"HEAD", "HEAD /path HTTP/1.1\r\nHost: test\r\n" + many_fields() + "\r\n", 1, true},
        // It does not wait; but a cut behind the head is a client that does.
        {"expecting", start + "Expect: 100-continue\r\nContent-Length: 300\r\n\r\n" + text_of(300)},
        {"old", "PUT / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 300\r\n\r\n" + text_of(300)},
        {"pipelined",
         get("/1") + "\r\n" + post("/2", text_of(200)) + start + "Transfer-Encoding: chunked\r\n\r\n" + chunked(200) +
             get("http://other:81/4", "Cookie: a=b\r\n"),
         4},
    };
}

TEST(Cut, a_request_cut_anywhere_is_the_same_request) {
    for (const auto& way : ways) {
        SCOPED_TRACE(said(way));
        Wires wires(way.streamed, way.protocol);
        for (const auto& shape : request_shapes()) {
            // Nobody knows the length of what comes in chunks, which this protocol cannot do without: 411.
            const bool chunks = shape.bytes.find("chunked") != std::string::npos;
            if (chunks && way.streamed && way.protocol == Protocol::uwsgi) continue;
            std::string whole;
            auto cuts = cuts_of(shape.bytes.size());
            cuts.insert(cuts.begin(), 0); // uncut
            for (const auto cut : cuts) {
                send_cut(wires.client(), shape.bytes, cut == 0 ? shape.bytes.size() : cut);
                std::string seen;
                for (unsigned i = 0; i < shape.requests; ++i) {
                    seen += stable(wires.request());
                    wires.asked().send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" +
                                       (shape.head_only ? "" : std::to_string(i)));
                    const auto answer = read_final(wires.client(), shape.head_only);
                    ASSERT_EQ(answer.field("content-length"), "1") << shape.name << " cut at " << cut;
                    ASSERT_EQ(answer.body, shape.head_only ? "" : std::to_string(i))
                        << shape.name << " cut at " << cut << "\n"
                        << answer.head;
                }
                if (cut == 0) whole = seen;
                ASSERT_EQ(seen.find("broken"), seen.npos) << shape.name << " cut at " << cut << "\n" << seen;
                // A streamed body may reach the worker in other chunks: only what they hold counts.
                ASSERT_EQ(seen, whole) << shape.name << " cut at " << cut;
            }
        }
    }
}

// Who is asked for it depends: a worker where it gets the body as it comes, and can say it.
TEST(Cut, a_client_that_waits_to_be_told_to_go_on_is_told_so_once_wherever_it_is_cut) {
    const auto body = text_of(300);
    const auto head =
        "POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 300\r\n" + many_fields() + "\r\n";
    for (const auto& way : ways) {
        SCOPED_TRACE(said(way));
        Wires wires(way.streamed, way.protocol);
        const bool worker_says_it = way.streamed && way.protocol == Protocol::http;
        for (const auto cut : cuts_of(head.size() + body.size())) {
            send_cut(wires.client(), head, std::min(cut, head.size()));
            Message seen;
            if (worker_says_it) {
                seen = wires.request(true);
                ASSERT_EQ(seen.field("expect"), "100-continue") << "cut at " << cut;
                wires.asked().send("HTTP/1.1 100 Continue\r\n\r\n");
            }
            ASSERT_EQ(wires.client().read_response().status(), 100) << "cut at " << cut;
            send_cut(wires.client(), body, cut > head.size() ? cut - head.size() : body.size());
            if (worker_says_it) {
                std::string got;
                while (got.size() < body.size()) {
                    const auto some = wires.asked().read_some(body.size() - got.size());
                    ASSERT_NE(some, "") << "cut at " << cut;
                    got += some;
                }
                ASSERT_EQ(got, body) << "cut at " << cut;
            } else {
                seen = wires.request();
                ASSERT_TRUE(seen.complete) << "cut at " << cut;
                ASSERT_EQ(seen.body, body) << "cut at " << cut;
            }
            wires.asked().send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            ASSERT_EQ(wires.client().read_response().body, "ok") << "cut at " << cut << ": and not a second 100";
        }
    }
}

// The client is still sending, and is told all of it; what it sends goes to nobody, and least of all is it the next request.
TEST(Cut, an_early_answer_in_the_middle_of_a_body_is_whole_wherever_either_is_cut) {
    const auto body = text_of(20'000);
    const auto request = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 30000\r\n\r\n" + body;
    const auto answer = "HTTP/1.1 413 Content Too Large\r\nX-A: b\r\nContent-Length: 300\r\n\r\n" + text_of(300);
    for (const auto protocol : {Protocol::http, Protocol::uwsgi}) {
        SCOPED_TRACE(said({true, protocol}));
        Wires wires(true, protocol);
        std::string whole;
        auto cuts = cuts_of(request.size());
        cuts.insert(cuts.begin(), 0);
        for (const auto cut : cuts) {
            auto& client = wires.client();
            client.send(request.substr(0, cut == 0 ? request.size() : cut));
            const auto head_is_there = cut == 0 || cut >= request.size() - body.size();
            if (!head_is_there) {
                ASSERT_TRUE(was_read(client));
                client.send(request.substr(cut));
            }
            ASSERT_TRUE(wires.request(true).complete) << "cut at " << cut;
            send_cut(wires.asked(), answer, cut == 0 ? answer.size() : cut % answer.size());
            if (cut % 2) wires.hang_up(); // with what was sent to it unread, as many do
            const auto told = client.read_response();
            if (cut == 0) whole = stable(told);
            ASSERT_EQ(told.status(), 413) << "cut at " << cut;
            ASSERT_EQ(told.field("connection"), "close") << "cut at " << cut;
            ASSERT_EQ(stable(told), whole) << "cut at " << cut;
            if (head_is_there && cut > 0) client.send(request.substr(cut));
            ASSERT_TRUE(client.ended()) << "cut at " << cut;
            ASSERT_FALSE(client.was_reset()) << "cut at " << cut;
            wires.new_client();
            wires.hang_up();
        }
    }
}

TEST(Cut, a_body_that_is_too_large_is_refused_alike_wherever_it_is_cut) {
    const std::string start = "POST / HTTP/1.1\r\nHost: test\r\n";
    for (const auto& way : ways) {
        if (way.streamed) continue; // there its head may have reached a worker before
        SCOPED_TRACE(said(way));
        Wires wires(way.streamed, way.protocol, 20'000);
        for (const auto& request : {start + "Content-Length: 30000\r\n\r\n" + text_of(30'000),
                                    start + "Transfer-Encoding: chunked\r\n\r\n" + chunked(30'000)}) {
            std::string whole;
            auto cuts = cuts_of(request.size());
            cuts.insert(cuts.begin(), 0);
            for (const auto cut : cuts) {
                send_cut(wires.client(), request, cut == 0 ? request.size() : cut);
                const auto told = wires.client().read_response();
                if (cut == 0) whole = stable(told);
                ASSERT_EQ(told.field("x-plimsoll-reason"), "body_too_large") << "cut at " << cut;
                ASSERT_EQ(stable(told), whole) << "cut at " << cut;
                ASSERT_TRUE(wires.client().ended()) << "cut at " << cut;
                ASSERT_FALSE(wires.client().was_reset()) << "cut at " << cut;
                wires.new_client();
            }
        }
        EXPECT_TRUE(wires.nobody_came_to_the_worker());
    }
}

struct AnswerShape {
    std::string name, bytes;
    bool then_close = false;
    std::string request = get();
    unsigned answers = 1;
};

std::vector<AnswerShape> answer_shapes() {
    const std::string ok = "HTTP/1.1 200 OK\r\n", chunks = ok + "Transfer-Encoding: chunked\r\n\r\n";
    const std::string old = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    const std::string head = "HEAD / HTTP/1.1\r\nHost: test\r\n\r\n", body = text_of(300);
    return {
        {"length", ok + "Content-Length: 32700\r\n\r\n" + text_of(32700)},
        {"chunks", chunks + chunked(shape_size)},
        {"until close", ok + "Connection: close\r\n\r\n" + text_of(32000), true},
        {"long head", ok + many_fields() + "Content-Length: 2\r\n\r\nok"},
        {"interim",
         "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n" + ok +
             "Content-Length: 2\r\n\r\nok",
         false, get(), 3},
        {"an interim that nobody asked for",
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok +
             "Content-Length: 2\r\n\r\nok",
         false, get(), 2},
        {"interim and no content", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
         false, get(), 2},
        {"no length", ok + "Content-Type: text/plain\r\n\r\n" + text_of(32000), true},
        {"length, to a POST", ok + "Content-Length: 300\r\n\r\n" + body, false, post("/", body)},
        {"no length, to a POST", ok + "Content-Type: text/plain\r\n\r\n" + body, true, post("/", body)},
        {"chunks, to a POST", chunks + chunked(300), false, post("/", body)},
        {"length, to a HEAD", ok + "Content-Length: 32700\r\n" + many_fields() + "\r\n", false, head},
        {"chunks, to a HEAD", chunks, false, head},
        {"no length, to a HEAD", ok + "Content-Type: text/plain\r\n\r\n", true, head},
        {"not modified, to a HEAD", "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n", false, head},
        {"interim, to a HEAD", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok + "Content-Length: 5\r\n\r\n",
         false, head, 2},
        {"not modified and no length", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", true},
        {"no content", "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n"},
        {"not modified", "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\nETag: \"a\"\r\n\r\n"},
        {"events", ok + "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(500)},
        {"unbuffered", ok + "X-Accel-Buffering: no\r\nContent-Length: 300\r\n\r\n" + text_of(300)},
        {"chunks to an old client", chunks + chunked(500), false, old},
        {"length to an old client", "HTTP/1.0 200 OK\r\nContent-Length: 300\r\n\r\n" + text_of(300), true, old},
    };
}

TEST(Cut, an_answer_cut_anywhere_is_the_same_answer) {
    for (const auto& way : ways) {
        SCOPED_TRACE(said(way));
        Wires wires(way.streamed, way.protocol);
        for (const auto& shape : answer_shapes()) {
            const bool head_only = shape.request.starts_with("HEAD");
            std::string whole;
            auto cuts = cuts_of(shape.bytes.size());
            cuts.insert(cuts.begin(), 0);
            for (const auto cut : cuts) {
                wires.client().send(shape.request);
                ASSERT_TRUE(wires.request().complete) << shape.name << " cut at " << cut;
                send_cut(wires.asked(), shape.bytes, cut == 0 ? shape.bytes.size() : cut);
                if (shape.then_close || way.protocol == Protocol::uwsgi) wires.hang_up();
                std::string seen;
                for (unsigned i = 0; i < shape.answers; ++i) seen += stable(wires.client().read_response(head_only));
                if (shape.name == "chunks to an old client") wires.new_client();
                if (cut == 0) whole = seen;
                ASSERT_EQ(seen, whole) << shape.name << " cut at " << cut;
                ASSERT_EQ(seen.find("broken"), seen.npos) << shape.name << "\n" << seen;
            }
        }
    }
}

TEST(Cut, a_tunnel_cut_anywhere_passes_the_same_bytes) {
    const std::string request = get("/", "Connection: upgrade\r\nUpgrade: test\r\n") + text_of(300);
    const std::string answer =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: test\r\n\r\n" + text_of(300);
    const auto read = [](Peer& peer, std::size_t size) {
        std::string bytes;
        while (bytes.size() < size) {
            const auto some = peer.read_some();
            if (some.empty()) break;
            bytes += some;
        }
        return bytes;
    };
    for (const auto protocol : {Protocol::http, Protocol::uwsgi}) {
        SCOPED_TRACE(said({false, protocol}));
        Wires wires(false, protocol);
        for (const auto cut : cuts_of(answer.size())) {
            send_cut(wires.client(), request, std::min(cut, request.size() - 1));
            const auto asked = wires.request();
            ASSERT_TRUE(asked.complete) << "cut at " << cut;
            ASSERT_EQ(asked.field(protocol == Protocol::uwsgi ? "http_upgrade" : "upgrade"), "test")
                << "cut at " << cut;
            auto& worker = wires.asked();
            send_cut(worker, answer, cut);
            ASSERT_EQ(wires.client().read_response().status(), 101) << "cut at " << cut;
            ASSERT_EQ(read(wires.client(), 300), text_of(300)) << "cut at " << cut;
            ASSERT_EQ(read(worker, 300), text_of(300)) << "cut at " << cut;
            wires.new_client();
            wires.hang_up();
        }
    }
}

} // namespace
} // namespace plimsoll::net::testing
