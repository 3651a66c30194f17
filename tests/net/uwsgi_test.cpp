// What a worker that speaks uwsgi is told.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy.hpp"

namespace plimsoll::net::testing {
namespace {

// Answers with the client's address and port, as an application would see them.
void tell_remote(Peer& peer) {
    const auto request = peer.read_packet();
    const auto client = request.field("remote_addr") + " " +
                        (request.has("remote_port") ? request.field("remote_port") : std::string("no port"));
    peer.send("HTTP/1.1 200 OK\r\n\r\n" + client);
}

class UwsgiRemote : public ::testing::Test {
protected:
    Origin origin{tell_remote};
    Proxy proxy;
    Peer client;
    void start() {
        proxy.add_worker(origin.address(), 8, Protocol::uwsgi);
        proxy.start();
        client = proxy.client();
    }
    std::string told(const std::string& fields = "") {
        client.send(get("/", fields));
        return client.read_response().body;
    }
    std::string own_port() const {
        sockaddr_in own{};
        socklen_t size = sizeof own;
        ::getsockname(client.fd(), reinterpret_cast<sockaddr*>(&own), &size);
        return std::to_string(ntohs(own.sin_port));
    }
};

TEST_F(UwsgiRemote, is_the_client_with_its_port) {
    start();
    EXPECT_EQ(told(), "127.0.0.1 " + own_port());
    EXPECT_EQ(told("X-Forwarded-For: 203.0.113.7:51000\r\n"), "127.0.0.1 " + own_port()) << "a stranger's word";
}

TEST_F(UwsgiRemote, behind_a_trusted_proxy_has_the_port_that_this_tells_and_never_the_proxys_own) {
    proxy.config.proxy.trusted_proxies = {"127.0.0.1"};
    start();
    EXPECT_EQ(told("X-Forwarded-For: 203.0.113.7\r\n"), "203.0.113.7 no port");
    EXPECT_EQ(told("X-Forwarded-For: 203.0.113.7:51000\r\n"), "203.0.113.7 51000");
    EXPECT_EQ(told("X-Forwarded-For: [2001:db8::1]:51000, 127.0.0.1:80\r\n"), "2001:db8::1 51000");
    EXPECT_EQ(told(), "127.0.0.1 " + own_port()) << "it asks for itself";
}

TEST_F(UwsgiRemote, is_the_trusted_proxy_itself_where_that_only_passes_the_claim_on) {
    proxy.config.proxy.trusted_proxies = {"127.0.0.1"};
    proxy.config.proxy.trusted_proxies_set = {"X-Forwarded-Proto"};
    start();
    EXPECT_EQ(told("X-Forwarded-For: 203.0.113.7\r\n"), "127.0.0.1 " + own_port());
    auto config = proxy.config;
    config.proxy.trusted_proxies_set = {"X-Forwarded-For"};
    proxy.server().apply(config, Pools{{"app", proxy.pool}});
    EXPECT_EQ(told("X-Forwarded-For: 203.0.113.7\r\n"), "203.0.113.7 no port");
}

TEST_F(UwsgiRemote, is_whom_the_proxy_protocol_announces) {
    proxy.config.proxy.trusted_proxies = {"127.0.0.1"};
    proxy.config.listeners[0].proxy_protocol = true;
    start();
    client.send("PROXY TCP4 203.0.113.7 192.0.2.9 51000 443\r\n");
    EXPECT_EQ(told(), "203.0.113.7 51000");
    client = proxy.client();
    client.send("PROXY UNKNOWN\r\n");
    EXPECT_EQ(told(), "127.0.0.1 " + own_port()) << "nobody knows who: served under the balancer's name";
}

TEST_F(UwsgiRemote, on_a_unix_socket_has_no_port) {
    proxy.config.listeners[0].address = "unix:/tmp/plimsoll-remote-" + std::to_string(::getpid());
    start();
    EXPECT_EQ(told(), " no port");
}

} // namespace
} // namespace plimsoll::net::testing
