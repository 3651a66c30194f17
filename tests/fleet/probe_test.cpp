#include "fleet/probe.hpp"

#include <filesystem>
#include <map>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fleet/fd.hpp"
#include "fleet/wait.hpp"
#include "tests/fleet/turn.hpp"

namespace plimsoll::fleet {
namespace {

using namespace std::chrono_literals;

Question to(std::string path) {
    Question question;
    question.path = std::move(path);
    return question;
}

// A worker of one connection, on the test's thread: it answers in the given pieces, each after the io_context was
// turned.
class ProbeTest : public testing::Test {
protected:
    ProbeTest() {
        char name[] = "/tmp/plimsoll-probe-XXXXXX";
        directory = ::mkdtemp(name);
        listen({.family = net::Address::Family::unix_socket, .path = directory + "/w.sock"});
    }
    ~ProbeTest() override { std::filesystem::remove_all(directory); }

    void listen(const net::Address& where) {
        sockaddr_storage storage{};
        socklen_t length = 0;
        ASSERT_TRUE(net::to_sockaddr(where, storage, length));
        listener.reset(::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&storage), length), 0);
        ASSERT_EQ(::listen(listener.get(), 8), 0);
        address = where;
        if (where.family == net::Address::Family::tcp) {
            length = sizeof storage;
            ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&storage), &length);
            address.port = ntohs(reinterpret_cast<sockaddr_in&>(storage).sin_port);
        }
    }
    std::shared_ptr<std::optional<ProbeResult>> start(asio::awaitable<ProbeResult> work) {
        auto place = std::make_shared<std::optional<ProbeResult>>();
        asio::co_spawn(io, std::move(work),
                       [place](std::exception_ptr, ProbeResult result) { *place = std::move(result); });
        return place;
    }
    bool accept() {
        return run_until(io, [&] {
            worker.reset(::accept(listener.get(), nullptr, nullptr));
            return static_cast<bool>(worker);
        });
    }
    std::string request() { // what has been asked, up to the end of a head or of a uwsgi packet
        std::string text;
        run_until(io, [&] {
            char buffer[4096];
            const auto size = ::recv(worker.get(), buffer, sizeof buffer, MSG_DONTWAIT);
            if (size > 0) text.append(buffer, static_cast<std::size_t>(size));
            return text.ends_with("\r\n\r\n") || (text.starts_with('\0') && text.ends_with("plimsoll-probe"));
        });
        return text;
    }
    // Asks, and has the worker answer with these pieces and then hang up or stay.
    ProbeResult ask(const std::vector<std::string>& pieces, bool hang_up, Duration bound = 5s,
                    net::Protocol protocol = net::Protocol::http) {
        const auto place = start(probe(address, protocol, to("/health?x=1"), bound));
        EXPECT_TRUE(accept());
        asked = request();
        for (const auto& piece : pieces) {
            (void)!::send(worker.get(), piece.data(), piece.size(), MSG_NOSIGNAL);
            io.restart();
            io.poll();
        }
        if (hang_up) worker.reset();
        EXPECT_TRUE(run_until(io, [&] { return place->has_value(); }));
        return place->value_or(ProbeResult{});
    }

    asio::io_context io;
    std::string directory, asked;
    net::Address address;
    Fd listener, worker;
};

TEST_F(ProbeTest, any_status_counts_as_an_answer) {
    for (const int status : {200, 204, 302, 401, 404, 500, 503}) {
        SCOPED_TRACE(status);
        const auto result = ask({"HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: 5\r\n\r\n"}, false);
        EXPECT_TRUE(result.answered);
        EXPECT_EQ(result.status, status);
        EXPECT_EQ(result.problem, "");
        EXPECT_GT(result.took, 0s);
    }
    EXPECT_EQ(asked, "GET /health?x=1 HTTP/1.1\r\nHost: localhost\r\nUser-Agent: plimsoll-probe\r\nAccept: */*\r\n"
                     "Connection: close\r\n\r\n");
}

TEST_F(ProbeTest, the_connection_is_closed_at_once) {
    ask({"HTTP/1.0 200 OK\n\n"}, false);
    char byte;
    EXPECT_EQ(::recv(worker.get(), &byte, 1, 0), 0); // or a sync worker would wait 2 s for us
}

TEST_F(ProbeTest, an_answer_torn_at_any_byte_means_the_same) {
    const std::string answer = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nServer: x\r\n\r\n";
    for (std::size_t n = 0; n <= answer.size(); ++n) {
        SCOPED_TRACE(n);
        const auto result = ask({answer.substr(0, n), answer.substr(n)}, true);
        EXPECT_TRUE(result.answered) << result.problem;
        EXPECT_EQ(result.status, 200);
    }
}

TEST_F(ProbeTest, an_answer_cut_at_any_byte_is_none) {
    const std::string answer = "HTTP/1.1 200 OK\r\nServer: x\r\n\r\n";
    for (std::size_t n = 0; n < answer.size(); ++n) {
        SCOPED_TRACE(n);
        const auto result = ask({answer.substr(0, n)}, true);
        EXPECT_FALSE(result.answered);
        EXPECT_EQ(result.problem,
                  n == 0 ? "closed the connection without an answer" : "closed the connection within its answer");
    }
}

TEST_F(ProbeTest, garbage_is_told_from_an_answer_at_its_first_byte) {
    for (const char* text : {"SSH-2.0-OpenSSH_9.2\r\n", "HTTP/2 200\r\n", "HTTP/1.1 20x OK\r\n", "HTTP/1.1 2000 OK\r\n",
                             "HTTP/1.1 999 Odd\r\n\r\n", "\x15\x03\x01", "<html>", "x"}) {
        SCOPED_TRACE(text);
        const auto result = ask({text}, false);
        EXPECT_FALSE(result.answered);
        EXPECT_EQ(result.problem, "what it answered is not HTTP");
    }
}

TEST_F(ProbeTest, a_head_without_end_is_bounded) {
    std::vector<std::string> pieces = {"HTTP/1.1 200 OK\r\n"};
    for (int i = 0; i < 70; ++i) pieces.push_back("X: " + std::string(1019, 'x') + "\r\n");
    EXPECT_EQ(ask(pieces, false).problem, "its answer's head is longer than 64 KiB");
}

TEST_F(ProbeTest, silence_ends_with_the_bound) {
    auto result = ask({}, false, 30ms);
    EXPECT_FALSE(result.answered);
    EXPECT_EQ(result.problem, "no answer in 30 ms");
    EXPECT_GE(result.took, 30ms);
    EXPECT_LT(result.took, 5s);
    result = ask({"HTTP/1.1 200"}, false, 30ms);
    EXPECT_EQ(result.problem, "no complete answer in 30 ms");
    EXPECT_EQ(result_of(io, probe(address, net::Protocol::http, to("/"), 0s)).answered, false);
}

TEST_F(ProbeTest, nobody_there_is_told_in_words) {
    listener.reset();
    EXPECT_EQ(result_of(io, probe(address, net::Protocol::http, to("/"), 1s)).problem, "connection refused");
    address.path += "x";
    EXPECT_EQ(result_of(io, probe(address, net::Protocol::http, to("/"), 1s)).problem,
              address.path + " does not exist");
    listen({.host = "127.0.0.1"});
    listener.reset();
    EXPECT_EQ(result_of(io, probe(address, net::Protocol::http, to("/"), 1s)).problem, "connection refused");
    const auto result =
        result_of(io, probe({.host = "no-such-host.invalid", .port = 80}, net::Protocol::http, to("/"), 2s));
    EXPECT_FALSE(result.answered);
    EXPECT_TRUE(result.problem.starts_with("no-such-host.invalid")) << result.problem;
}

TEST_F(ProbeTest, names_are_resolved_and_each_of_their_addresses_tried) {
    listen({.host = "127.0.0.1"}); // where localhost is ::1 first, nobody is there
    address.host = "localhost";
    EXPECT_TRUE(ask({"HTTP/1.1 200 OK\r\n\r\n"}, true).answered);
}

TEST_F(ProbeTest, a_path_cannot_smuggle_a_second_request) {
    for (const char* path : {"", "x", "/ x", "/\r\nX: y", "/\x80"}) {
        SCOPED_TRACE(path);
        EXPECT_TRUE(
            result_of(io, probe(address, net::Protocol::http, to(path), 1s)).problem.ends_with("no path to ask for"));
    }
}

TEST_F(ProbeTest, the_uwsgi_packet_is_well_formed_and_its_answer_http) {
    const auto result = ask({"HTTP/1.1 200 OK\r\n\r\n"}, false, 5s, net::Protocol::uwsgi);
    EXPECT_TRUE(result.answered);
    const auto size_at = [&](std::size_t at) {
        return static_cast<std::size_t>(static_cast<unsigned char>(asked.at(at)) |
                                        static_cast<unsigned char>(asked.at(at + 1)) << 8);
    };
    EXPECT_EQ(asked[0], 0);
    EXPECT_EQ(asked[3], 0);
    ASSERT_EQ(size_at(1), asked.size() - 4);
    std::map<std::string, std::string> variables;
    for (std::size_t at = 4; at < asked.size();) {
        std::string pair[2];
        for (auto& text : pair) {
            text = asked.substr(at + 2, size_at(at));
            at += 2 + size_at(at);
        }
        variables[pair[0]] = pair[1];
    }
    EXPECT_EQ(variables["REQUEST_METHOD"], "GET");
    EXPECT_EQ(variables["PATH_INFO"], "/health");
    EXPECT_EQ(variables["QUERY_STRING"], "x=1");
    EXPECT_EQ(variables["REQUEST_URI"], "/health?x=1");
    EXPECT_EQ(variables["HTTP_HOST"], "localhost");
}

} // namespace
} // namespace plimsoll::fleet
