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
    return eventually([&peer] {
        int unread = 0;
        return ::ioctl(peer.fd(), SIOCOUTQ, &unread) == 0 && unread == 0;
    });
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
    explicit Wires(bool streamed) {
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
        proxy_.config.routes[0].stream = streamed;
        proxy_.add_worker("unix:" + path_);
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
    void hang_up() { worker_.close(); }
    void new_client() { client_.close(); }

private:
    Proxy proxy_;
    Peer client_, worker_;
    std::string path_;
    int listening_ = -1;
};

void send_cut(Peer& peer, const std::string& bytes, std::size_t cut) {
    peer.send(std::string_view(bytes).substr(0, cut));
    if (cut == 0 || cut == bytes.size()) return;
    EXPECT_TRUE(was_read(peer)) << "nobody read the first " << cut << " bytes";
    peer.send(std::string_view(bytes).substr(cut));
}

// What is the same in every run: not ids and dates.
std::string stable(const Message& message) {
    std::string text = message.complete ? "whole\n" : "broken\n";
    for (std::size_t at = 0; at < message.head.size();) {
        const auto end = message.head.find("\r\n", at) + 2;
        const auto line = message.head.substr(at, end - at);
        const bool differs =
            line.starts_with("X-Request-Id:") || line.starts_with("traceparent:") || line.starts_with("Date:");
        if (!differs) text += line;
        at = end;
    }
    return text + message.body;
}

struct Shape {
    std::string name, bytes;
    unsigned requests = 1;
};

std::vector<Shape> request_shapes() {
    const std::string start = "PUT /path?query HTTP/1.1\r\nHost: test\r\n";
    return {
        {"long head", get("/" + std::string(500, 'p'), many_fields())},
        {"length", start + "Content-Length: 32600\r\n\r\n" + text_of(32600)},
        {"chunks", start + "Transfer-Encoding: chunked\r\n\r\n" + chunked(shape_size)},
        {"old", "PUT / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 300\r\n\r\n" + text_of(300)},
        {"pipelined",
         get("/1") + "\r\n" + post("/2", text_of(200)) + start + "Transfer-Encoding: chunked\r\n\r\n" + chunked(200) +
             get("http://other:81/4", "Cookie: a=b\r\n"),
         4},
    };
}

TEST(Cut, a_request_cut_anywhere_is_the_same_request) {
    for (const bool streamed : {false, true}) {
        Wires wires(streamed);
        for (const auto& shape : request_shapes()) {
            std::string whole;
            auto cuts = cuts_of(shape.bytes.size());
            cuts.insert(cuts.begin(), 0); // uncut
            for (const auto cut : cuts) {
                send_cut(wires.client(), shape.bytes, cut == 0 ? shape.bytes.size() : cut);
                std::string seen;
                for (unsigned i = 0; i < shape.requests; ++i) {
                    auto& worker = wires.worker();
                    const auto request = worker.read_request();
                    seen += stable(request);
                    worker.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + std::to_string(i));
                    const auto answer = wires.client().read_response();
                    ASSERT_EQ(answer.body, std::to_string(i)) << shape.name << " cut at " << cut << "\n" << answer.head;
                }
                if (cut == 0) whole = seen;
                // A streamed body may reach the worker in other chunks: only what they hold counts.
                ASSERT_EQ(seen, whole) << shape.name << " cut at " << cut;
            }
        }
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
    return {
        {"length", ok + "Content-Length: 32700\r\n\r\n" + text_of(32700)},
        {"chunks", chunks + chunked(shape_size)},
        {"until close", ok + "Connection: close\r\n\r\n" + text_of(32000), true},
        {"long head", ok + many_fields() + "Content-Length: 2\r\n\r\nok"},
        {"interim",
         "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n" + ok +
             "Content-Length: 2\r\n\r\nok",
         false, get(), 3},
        {"no content", "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n"},
        {"not modified", "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\nETag: \"a\"\r\n\r\n"},
        {"events", ok + "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(500)},
        {"unbuffered", ok + "X-Accel-Buffering: no\r\nContent-Length: 300\r\n\r\n" + text_of(300)},
        {"chunks to an old client", chunks + chunked(500), false, old},
        {"length to an old client", "HTTP/1.0 200 OK\r\nContent-Length: 300\r\n\r\n" + text_of(300), true, old},
    };
}

TEST(Cut, an_answer_cut_anywhere_is_the_same_answer) {
    for (const bool streamed : {false, true}) {
        Wires wires(streamed);
        for (const auto& shape : answer_shapes()) {
            std::string whole;
            auto cuts = cuts_of(shape.bytes.size());
            cuts.insert(cuts.begin(), 0);
            for (const auto cut : cuts) {
                wires.client().send(shape.request);
                auto& worker = wires.worker();
                ASSERT_TRUE(worker.read_request().complete) << shape.name << " cut at " << cut;
                send_cut(worker, shape.bytes, cut == 0 ? shape.bytes.size() : cut);
                if (shape.then_close) wires.hang_up();
                std::string seen;
                for (unsigned i = 0; i < shape.answers; ++i) seen += stable(wires.client().read_response());
                if (shape.name == "chunks to an old client") wires.new_client();
                if (cut == 0) whole = seen;
                ASSERT_EQ(seen, whole) << shape.name << " cut at " << cut;
                ASSERT_NE(seen.find("whole"), std::string::npos) << shape.name << "\n" << seen;
            }
        }
    }
}

TEST(Cut, a_tunnel_cut_anywhere_passes_the_same_bytes) {
    Wires wires(false);
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
    for (const auto cut : cuts_of(answer.size())) {
        send_cut(wires.client(), request, std::min(cut, request.size() - 1));
        auto& worker = wires.worker();
        ASSERT_TRUE(worker.read_request().complete) << "cut at " << cut;
        send_cut(worker, answer, cut);
        ASSERT_EQ(wires.client().read_response().status(), 101) << "cut at " << cut;
        ASSERT_EQ(read(wires.client(), 300), text_of(300)) << "cut at " << cut;
        ASSERT_EQ(read(worker, 300), text_of(300)) << "cut at " << cut;
        wires.new_client();
        wires.hang_up();
    }
}

} // namespace
} // namespace plimsoll::net::testing
