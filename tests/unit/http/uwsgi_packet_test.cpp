#include "net/http/uwsgi_packet.hpp"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "unit/http/received.hpp"

namespace plimsoll::http {
namespace {

using Variables = std::map<std::string, std::string>;

// Reads a packet the way a server does; a name that comes twice is a failure.
Variables read(std::string_view packet) {
    Variables variables;
    const auto number = [&packet](std::size_t at) {
        return static_cast<std::size_t>(static_cast<unsigned char>(packet.at(at)) |
                                        static_cast<unsigned char>(packet.at(at + 1)) << 8);
    };
    EXPECT_EQ(packet.at(0), 0);
    EXPECT_EQ(packet.at(3), 0);
    EXPECT_EQ(number(1), packet.size() - 4);
    for (std::size_t at = 4; at < packet.size();) {
        std::string text[2];
        for (std::string& each : text) {
            each = packet.substr(at + 2, number(at));
            at += 2 + each.size();
        }
        EXPECT_TRUE(variables.emplace(text[0], text[1]).second) << text[0] << " twice";
    }
    return variables;
}

struct Packed : Received {
    using Received::Received;
    Variables packet(Forwarding about = {}, UwsgiRequest how = {}) const {
        std::vector<char> buffer(max_uwsgi_packet);
        return read({buffer.data(), write_uwsgi_packet(head, about, how, buffer)});
    }
};

TEST(UwsgiPacket, holds_what_wsgi_asks_for) {
    const Packed sent(
        "POST /a%20b/c?x=%20&y HTTP/1.1\r\nHost: a.example:8080\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
        "Accept: */*\r\nX-One-Two: 12\r\n\r\n");
    const Variables got = sent.packet({.peer = "192.0.2.1", .request_id = "id", .traceparent = "trace"},
                                      {.content_length = 5, .client = "192.0.2.1", .client_port = 4000});
    const Variables want = {{"REQUEST_METHOD", "POST"},
                            {"REQUEST_URI", "/a%20b/c?x=%20&y"},
                            {"SCRIPT_NAME", ""},
                            {"PATH_INFO", "/a b/c"},
                            {"QUERY_STRING", "x=%20&y"},
                            {"SERVER_PROTOCOL", "HTTP/1.1"},
                            {"REQUEST_SCHEME", "http"},
                            {"REMOTE_ADDR", "192.0.2.1"},
                            {"REMOTE_PORT", "4000"},
                            {"SERVER_NAME", "a.example"},
                            {"SERVER_PORT", "8080"},
                            {"CONTENT_LENGTH", "5"},
                            {"CONTENT_TYPE", "text/plain"},
                            {"HTTP_HOST", "a.example:8080"},
                            {"HTTP_ACCEPT", "*/*"},
                            {"HTTP_X_ONE_TWO", "12"},
                            {"HTTP_X_FORWARDED_FOR", "192.0.2.1"},
                            {"HTTP_X_FORWARDED_PROTO", "http"},
                            {"HTTP_X_FORWARDED_HOST", "a.example:8080"},
                            {"HTTP_FORWARDED", "for=192.0.2.1;host=\"a.example:8080\";proto=http"},
                            {"HTTP_X_REQUEST_ID", "id"},
                            {"HTTP_TRACEPARENT", "trace"},
                            {"HTTP_VIA", "1.1 plimsoll"}};
    EXPECT_EQ(got, want);
}

TEST(UwsgiPacket, https_of_the_listener_or_of_a_trusted_proxy) {
    const Packed sent("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n");
    EXPECT_EQ(sent.packet({.tls = true}).at("HTTPS"), "on");
    EXPECT_EQ(sent.packet({.trusted = true}).at("HTTPS"), "on");
    EXPECT_EQ(sent.packet().count("HTTPS"), 0U);
}

TEST(UwsgiPacket, forwarded_says_what_the_older_fields_of_a_trusted_proxy_say) {
    const Packed sent("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n\r\n");
    EXPECT_EQ(sent.packet({.peer = "10.0.0.1", .trusted = true}).at("HTTP_FORWARDED"),
              "for=9.9.9.9;proto=https, for=10.0.0.1;host=\"a\"");
}

TEST(UwsgiPacket, the_port_is_the_one_that_the_client_asked_for) {
    const auto port = [](const std::string& host, const Forwarding& about = {}) {
        return Packed("GET / HTTP/1.1\r\nHost: " + host + "\r\nX-Forwarded-Proto: https\r\n\r\n")
            .packet(about)
            .at("SERVER_PORT");
    };
    EXPECT_EQ(port("a.example"), "80");
    EXPECT_EQ(port("a.example:"), "80");
    EXPECT_EQ(port("a.example:8080"), "8080");
    EXPECT_EQ(port("[2001:db8::7]"), "80");
    EXPECT_EQ(port("[2001:db8::7]:81"), "81");
    EXPECT_EQ(port("a.example", {.trusted = true}), "443");
    EXPECT_EQ(port("a.example:8443", {.trusted = true}), "8443");
}

TEST(UwsgiPacket, repeated_fields_are_joined) {
    const Packed sent("GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nCookie: a=1\r\nx-a: 2\r\nCookie: b=2\r\nX-A: 3\r\n\r\n");
    const Variables got = sent.packet();
    EXPECT_EQ(got.at("HTTP_X_A"), "1, 2, 3");
    EXPECT_EQ(got.at("HTTP_COOKIE"), "a=1; b=2");
}

TEST(UwsgiPacket, no_client_can_forge_a_variable) {
    const Packed sent(
        "GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 9.9.9.9\r\nX-Forwarded-For: 9.9.9.9\r\nX-Real_IP: 9.9.9.9\r\n"
        "REMOTE_ADDR: 9.9.9.9\r\nRemote-Addr: 7.7.7.7\r\nHTTPS: on\r\nContent-Length: 0\r\nContent_Length: 9\r\n"
        "Connection: content-type\r\nContent-Type: a/b\r\nProxy: evil\r\nX-Plimsoll-A: 1\r\n\r\n");
    const Variables got = sent.packet({.peer = "192.0.2.1"}, {.client = "192.0.2.1"});
    for (const auto& [name, value] : got) EXPECT_NE(value, "9.9.9.9") << name;
    EXPECT_EQ(got.at("REMOTE_ADDR"), "192.0.2.1");
    EXPECT_EQ(got.at("HTTP_REMOTE_ADDR"), "7.7.7.7"); // a field of that name: harmless behind its HTTP_
    EXPECT_EQ(got.count("HTTPS"), 0U);
    EXPECT_EQ(got.at("CONTENT_LENGTH"), "0");
    for (const char* name :
         {"CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "HTTP_PROXY", "HTTP_X_PLIMSOLL_A", "HTTP_CONNECTION"})
        EXPECT_EQ(got.count(name), 0U) << name;
}

TEST(UwsgiPacket, an_application_may_be_mounted) {
    const Packed sent("GET /app/x%2fy?a=1 HTTP/1.1\r\nHost: a\r\nX-Forwarded-Prefix: /out%20er/\r\n\r\n");
    const auto mounted = [&](bool trusted, Mount mount) {
        return sent.packet({.trusted = trusted, .mount = mount, .stripped = "/app"}, {.path = "/x%2fy"});
    };
    const Variables got = mounted(false, Mount::deeper);
    EXPECT_EQ(got.at("SCRIPT_NAME"), "/app");
    EXPECT_EQ(got.at("HTTP_X_FORWARDED_PREFIX"), "/app");
    EXPECT_EQ(got.at("PATH_INFO"), "/x/y");
    EXPECT_EQ(got.at("REQUEST_URI"), "/app/x%2fy?a=1");
    const Variables below = mounted(true, Mount::deeper);
    EXPECT_EQ(below.at("SCRIPT_NAME"), "/out er/app");
    EXPECT_EQ(below.at("HTTP_X_FORWARDED_PREFIX"), "/out%20er/app");
    EXPECT_EQ(below.at("REQUEST_URI"), "/out%20er/app/x%2fy?a=1");
    const Variables elsewhere = mounted(true, Mount::unsaid);
    EXPECT_EQ(elsewhere.at("SCRIPT_NAME"), "");
    EXPECT_EQ(elsewhere.count("HTTP_X_FORWARDED_PREFIX"), 0U);
    EXPECT_EQ(mounted(true, Mount::as_told).at("HTTP_X_FORWARDED_PREFIX"), "/out%20er/");
    EXPECT_EQ(Packed("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").packet({}, {}).at("SCRIPT_NAME"), "");
}

TEST(UwsgiPacket, the_application_hears_of_a_wish_to_switch_protocols) {
    const Variables got =
        Packed("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n")
            .packet({}, {});
    EXPECT_EQ(got.at("HTTP_CONNECTION"), "Upgrade");
    EXPECT_EQ(got.at("HTTP_UPGRADE"), "websocket");
}

TEST(UwsgiPacket, http_10_without_host_gets_names_of_ours) {
    const Variables got = Packed("GET / HTTP/1.0\r\n\r\n").packet({.fallback_host = "fallback"});
    EXPECT_EQ(got.at("HTTP_HOST"), "fallback");
    EXPECT_EQ(got.at("SERVER_NAME"), "fallback");
    EXPECT_EQ(got.at("SERVER_PORT"), "80");
    EXPECT_EQ(got.at("SERVER_PROTOCOL"), "HTTP/1.0");
}

// Though it would not if the path were as long as the client wrote it.
TEST(UwsgiPacket, a_path_takes_as_much_room_as_it_has_when_decoded) {
    std::string path = "/";
    for (int i = 0; i < 200; ++i) path += "%d0%bf";
    const Packed sent("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
    std::vector<char> buffer(4096);
    const std::size_t whole = write_uwsgi_packet(sent.head, {.peer = "1.1.1.1"}, {}, buffer);
    ASSERT_GT(whole, 1'600U);
    std::vector<char> exact(whole), small(whole - 1);
    EXPECT_EQ(write_uwsgi_packet(sent.head, {.peer = "1.1.1.1"}, {}, exact), whole);
    EXPECT_EQ(write_uwsgi_packet(sent.head, {.peer = "1.1.1.1"}, {}, small), 0U);
}

TEST(UwsgiPacket, what_does_not_fit_gives_nothing) {
    const Packed sent("GET /" + std::string(100, 'a') + " HTTP/1.1\r\nHost: a\r\nX-A: " + std::string(500, 'b') +
                      "\r\n\r\n");
    std::vector<char> buffer(4096);
    const std::size_t whole = write_uwsgi_packet(sent.head, {.peer = "1.1.1.1"}, {}, buffer);
    ASSERT_GT(whole, 600U);
    for (std::size_t size = 0; size < whole; ++size) {
        std::vector<char> small(size);
        ASSERT_EQ(write_uwsgi_packet(sent.head, {.peer = "1.1.1.1"}, {}, small), 0U) << size;
    }
}

TEST(UwsgiPacket, more_than_64_kib_gives_nothing_however_large_the_buffer) {
    std::string text = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (int i = 0; i < 70; ++i) text += "X-" + std::to_string(i) + ": " + std::string(1000, 'a') + "\r\n";
    text += "\r\n";
    RequestHead head;
    ASSERT_EQ(parse_request(text, 0, {.max_head = 1 << 20}, head).state, Parsed::State::complete);
    std::vector<char> buffer(1 << 20);
    EXPECT_EQ(write_uwsgi_packet(head, {}, {}, buffer), 0U);
}

} // namespace
} // namespace plimsoll::http
