#include "cli/admin_client.hpp"

#include <netinet/in.h>

#include <gtest/gtest.h>

#include "unit/cli/peer.hpp"

using namespace plimsoll::cli;
using namespace std::chrono_literals;

namespace {

constexpr AdminClient::Bounds hasty{.connect = 500ms, .silence = 100ms, .total = 400ms, .size = 100'000};

// Asks the address and expects no answer: the reason.
std::string failure(const std::string& address, AdminClient::Bounds bounds = hasty) {
    std::string why_not;
    auto began = std::chrono::steady_clock::now();
    EXPECT_FALSE(AdminClient(address, "", bounds).ask("GET", "/v1/status", "", why_not));
    EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
    EXPECT_EQ(why_not.find('\n'), std::string::npos);
    EXPECT_NE(why_not.find(address), std::string::npos) << why_not;
    return why_not;
}

TEST(AdminClient, asks_as_http_demands_and_hands_over_the_answer) {
    std::string request;
    Peer peer([&](int fd, int) {
        request = Peer::read_request(fd);
        Peer::send(fd, Peer::answer(202, R"({"incident":"i-1"})", "Retry-After: 7\r\n"));
    });
    ASSERT_TRUE(peer.ok());
    std::string why_not;
    auto answer = AdminClient(peer.address(), "a-token").ask("POST", "/v1/config/reload", "", why_not);
    ASSERT_TRUE(answer) << why_not;
    EXPECT_EQ(answer->status, 202u);
    EXPECT_EQ(answer->body, R"({"incident":"i-1"})");
    EXPECT_EQ(answer->retry_after, 7u);
    EXPECT_EQ(
        request,
        "POST /v1/config/reload HTTP/1.1\r\nHost: localhost\r\nUser-Agent: plimsoll\r\nAccept: application/json\r\n"
        "Authorization: Bearer a-token\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

TEST(AdminClient, reads_an_answer_in_whatever_pieces_it_comes) {
    const std::string chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    const std::string until_end = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello world";
    for (const auto& whole : {Peer::answer(200, "hello world"), chunked, until_end})
        for (std::size_t cut = 1; cut < whole.size(); cut += 3) {
            Peer peer([&](int fd, int) {
                Peer::read_request(fd);
                Peer::send(fd, whole.substr(0, cut));
                std::this_thread::yield();
                Peer::send(fd, whole.substr(cut));
            });
            std::string why_not;
            auto answer = AdminClient(peer.address(), "").ask("GET", "/", "", why_not);
            ASSERT_TRUE(answer) << why_not << " at " << cut;
            ASSERT_EQ(answer->body, "hello world") << cut;
        }
}

TEST(AdminClient, says_where_it_found_nobody_and_how_to_look_elsewhere) {
    int free_port = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    ASSERT_EQ(::bind(free_port, reinterpret_cast<sockaddr*>(&address), length), 0); // bound, but nobody listens
    ASSERT_EQ(::getsockname(free_port, reinterpret_cast<sockaddr*>(&address), &length), 0);
    auto text = failure("127.0.0.1:" + std::to_string(ntohs(address.sin_port)));
    EXPECT_NE(text.find("Connection refused"), std::string::npos) << text;
    EXPECT_NE(text.find("--admin"), std::string::npos) << text;
    ::close(free_port);
    EXPECT_NE(failure("unix:/tmp/plimsoll-no-such.sock").find("No such file"), std::string::npos);
}

TEST(AdminClient, gives_up_a_peer_that_says_nothing) {
    Peer peer([](int fd, int) { Peer::wait_for_end(fd); });
    EXPECT_NE(failure(peer.address()).find("did not answer in time"), std::string::npos);
}

TEST(AdminClient, gives_up_a_peer_that_never_comes_to_an_end) {
    Peer peer([](int fd, int) {
        Peer::send(fd, "HTTP/1.1 200 OK\r\n\r\n");
        while (::send(fd, "x", 1, MSG_NOSIGNAL) == 1) std::this_thread::sleep_for(20ms);
    });
    EXPECT_NE(failure(peer.address()).find("did not answer in time"), std::string::npos);
}

TEST(AdminClient, holds_no_more_than_its_bound) {
    Peer peer([](int fd, int) {
        Peer::read_request(fd);
        Peer::send(fd, Peer::answer(200, std::string(200'000, 'x')));
    });
    EXPECT_NE(failure(peer.address()).find("more than this command can hold"), std::string::npos);
}

TEST(AdminClient, knows_what_is_no_admin_api) {
    const std::string all_garbage[] = {"SSH-2.0-OpenSSH_9.2\r\n", "220 mail ESMTP\r\n",
                                       std::string("\x15\x03\x01\x00\x02\x02\x16", 7), "HTTP/1.1 abc OK\r\n\r\n",
                                       "HTTP/1.1 200 OK\r\nContent-Length: minus\r\n\r\n"};
    for (const auto& garbage : all_garbage) {
        Peer peer([&](int fd, int) {
            Peer::read_request(fd);
            Peer::send(fd, garbage);
        });
        EXPECT_NE(failure(peer.address()).find("is this its address?"), std::string::npos) << garbage;
    }
}

TEST(AdminClient, tells_a_peer_that_hangs_up) {
    Peer silent([](int, int) {});
    auto text = failure(silent.address());
    EXPECT_TRUE(text.find("hung up without an answer") != std::string::npos ||
                text.find("reset") != std::string::npos || text.find("took no request") != std::string::npos)
        << text;
    auto whole = Peer::answer(200, "hello");
    for (std::size_t cut = 1; cut < whole.size(); cut += 5) {
        Peer peer([&](int fd, int) {
            Peer::read_request(fd);
            Peer::send(fd, whole.substr(0, cut));
        });
        EXPECT_NE(failure(peer.address()).find("hung up in the middle"), std::string::npos) << cut;
    }
}

TEST(AdminClient, hears_a_refusal_that_comes_before_the_request_was_read) {
    Peer peer([](int fd, int) {
        Peer::send(fd, Peer::answer(503, R"({"error":"busy"})"));
        Peer::wait_for_end(fd);
    });
    std::string why_not;
    auto answer = AdminClient(peer.address(), "").ask("GET", "/", "", why_not);
    ASSERT_TRUE(answer) << why_not;
    EXPECT_EQ(answer->status, 503u);
}

TEST(UrlEncoded, leaves_nothing_that_could_lead_elsewhere) {
    EXPECT_EQ(url_encoded("app-1"), "app-1");
    EXPECT_EQ(url_encoded("../a b?c#%\n"), "..%2Fa%20b%3Fc%23%25%0A");
}

} // namespace
