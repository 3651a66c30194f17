// Workers that listen and accept nobody, until the kernel takes no more connections for them.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/address.hpp"
#include "proxy.hpp"

namespace plimsoll::net::testing {
namespace {

using namespace std::chrono_literals;

// Its queue is full from the beginning; free() lets everybody in, and answers him.
class FullBacklog {
public:
    explicit FullBacklog(bool unix_socket) {
        path_ = unix_socket ? "/tmp/plimsoll-backlog-" + std::to_string(::getpid()) : "";
        sockaddr_storage storage{};
        socklen_t length = 0;
        to_sockaddr(*parse_address(unix_socket ? "unix:" + path_ : "127.0.0.1:0"), storage, length);
        fd_ = ::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&storage), length), 0);
        EXPECT_EQ(::listen(fd_, 0), 0);
        length = sizeof storage;
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&storage), &length);
        for (int i = 0; i < 4; ++i) { // one gets in, whatever a backlog of 0 says; the others are refused or wait
            waiting_.push_back(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
            ::connect(waiting_.back(), reinterpret_cast<sockaddr*>(&storage), length);
        }
        address_ = unix_socket ? "unix:" + path_
                               : "127.0.0.1:" + std::to_string(ntohs(reinterpret_cast<sockaddr_in&>(storage).sin_port));
    }
    ~FullBacklog() {
        if (acceptor_.joinable()) {
            ::shutdown(fd_, SHUT_RDWR);
            acceptor_.join();
        }
        for (const int fd : waiting_) ::close(fd);
        ::close(fd_);
        if (!path_.empty()) ::unlink(path_.c_str());
    }
    const std::string& address() const { return address_; }
    void free() {
        for (const int fd : waiting_) ::close(fd);
        waiting_.clear();
        acceptor_ = std::thread([this] {
            for (int fd = 0; (fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
                Peer peer(fd);
                echo(peer);
            }
        });
    }

private:
    int fd_ = -1;
    std::string path_, address_;
    std::vector<int> waiting_;
    std::thread acceptor_;
};

class Backlog : public ::testing::TestWithParam<bool> {
protected:
    FullBacklog full{GetParam()};
    Proxy proxy;
};

TEST_P(Backlog, a_worker_that_does_not_accept_in_time_costs_504_and_no_more_than_that_time) {
    proxy.config.pools[0].upstream.connect_timeout = 150ms;
    proxy.add_worker(full.address());
    proxy.start();
    auto client = proxy.client();
    for (int i = 0; i < 2; ++i) { // the client's connection is as good as before
        const auto began = std::chrono::steady_clock::now();
        client.send(post("/", "body"));
        const auto answer = client.read_response();
        const auto took = std::chrono::steady_clock::now() - began;
        EXPECT_EQ(answer.status(), 504);
        EXPECT_EQ(answer.field("x-plimsoll-reason"), "upstream_connect_timeout");
        EXPECT_GE(took, 150ms);
        EXPECT_LT(took, 2s) << "the only worker is asked twice";
    }
    EXPECT_TRUE(eventually([&] { return proxy.in_flight() == 0; }));
}

TEST_P(Backlog, another_worker_gets_the_request_even_with_a_body_that_may_not_be_sent_twice) {
    Origin other([](Peer& peer) { echo(peer); });
    proxy.config.proxy.threads = 1;
    proxy.config.pools[0].upstream.connect_timeout = 100ms;
    const auto key = proxy.add_worker(full.address());
    proxy.add_worker(other.address());
    proxy.start();
    auto client = proxy.client();
    for (int i = 0; i < 6 || (i < 200 && proxy.server().stats().retries == 0); ++i) { // chance says who is asked first
        client.send(post("/a", "body"));
        const auto answer = client.read_response();
        ASSERT_EQ(answer.status(), 200);
        ASSERT_EQ(answer.body, "POST /a body");
    }
    EXPECT_GT(proxy.server().stats().retries, 0u) << "the other one was always asked first: this shows nothing";
    EXPECT_EQ(proxy.worker(key).finished[0], 0u);
    EXPECT_TRUE(eventually([&] { return proxy.in_flight() == 0; }));
}

TEST_P(Backlog, who_waits_for_a_place_in_it_gets_in_when_there_is_one) {
    proxy.config.pools[0].upstream.connect_timeout =
        8s; // the kernel offers a TCP connection again after 1, 3 and 7 seconds
    proxy.add_worker(full.address());
    proxy.start();
    auto client = proxy.client();
    client.send(get("/a"));
    EXPECT_TRUE(client.silent_for(100ms));
    full.free();
    EXPECT_EQ(client.read_response().status(), 200);
}

TEST_P(Backlog, who_leaves_while_his_connection_is_not_accepted_frees_the_slot_at_once) {
    proxy.config.pools[0].upstream.connect_timeout = 60s;
    proxy.add_worker(full.address());
    proxy.start();
    auto client = proxy.client();
    client.send(get("/a"));
    EXPECT_TRUE(eventually([&] { return proxy.in_flight() == 1; }));
    client.reset();
    EXPECT_TRUE(eventually([&] { return proxy.in_flight() == 0; }, 2s));
}

INSTANTIATE_TEST_SUITE_P(, Backlog, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "of_a_unix_socket" : "of_tcp"; });

} // namespace
} // namespace plimsoll::net::testing
