#include "net/http/head_writer.hpp"

#include <array>
#include <string>

#include <gtest/gtest.h>

#include "unit/http/received.hpp"

namespace plimsoll::http {
namespace {

const Identity identity({0x0123456789abcdef, 0xfedcba9876543210, 7});

struct Sent : Received {
    using Received::Received;
    std::string to_worker(Forwarding about = {}, ToWorker how = {}) const {
        if (const auto told = told_request_id(head, about); !told.empty()) about.request_id = told;
        if (about.request_id.empty()) about.request_id = "id";
        std::array<char, 4096> buffer;
        return {buffer.data(), write_request_head(head, about, how, buffer)};
    }
};

bool holds(const std::string& text, const std::string& line) {
    return text.find("\r\n" + line + "\r\n") != std::string::npos;
}
bool names(const std::string& text, const std::string& name) {
    return text.find("\r\n" + name + ":") != std::string::npos;
}

TEST(RequestWriter, writes_the_head_anew) {
    const Sent sent("GET http://a.example:80/x%20y?q=1 HTTP/1.1\r\nHost:   other\r\nAccept:*/*\r\n\r\n");
    const std::string head = sent.to_worker(
        {.peer = "192.0.2.1", .request_id = identity.request_id(), .traceparent = identity.traceparent()});
    EXPECT_EQ(head, "GET /x%20y?q=1 HTTP/1.1\r\n"
                    "Host: a.example:80\r\n"
                    "Accept: */*\r\n"
                    "X-Forwarded-For: 192.0.2.1\r\n"
                    "X-Forwarded-Proto: http\r\n"
                    "X-Forwarded-Host: a.example:80\r\n"
                    "Forwarded: for=192.0.2.1;host=\"a.example:80\";proto=http\r\n"
                    "X-Request-Id: 0123456789abcdeffedcba9876543211\r\n"
                    "traceparent: 00-0123456789abcdeffedcba9876543211-0000000000000007-01\r\n"
                    "Via: 1.1 plimsoll\r\n\r\n");
}

TEST(RequestWriter, lines_that_are_copied_whole_keep_their_order_and_their_borders) {
    const Sent sent("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nHost: a\r\nC:3\r\nD: 4\r\nKeep-Alive: 5\r\nE:  6 \r\nF: \r\n"
                    "Cookie: 7\r\nG:\r\nH: 8\r\n\r\n");
    const auto head = sent.to_worker();
    EXPECT_NE(head.find("Host: a\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 6\r\nF: \r\nCookie: 7\r\nG: \r\nH: 8\r\nX-"),
              std::string::npos)
        << head;
}

TEST(RequestWriter, cookies_arrive_in_one_field) {
    const Sent sent("GET / HTTP/1.1\r\nHost: a\r\ncookie: a=1; b=2\r\nAccept: x/y\r\nCookie: c=3\r\n\r\n");
    EXPECT_TRUE(holds(sent.to_worker(), "cookie: a=1; b=2; c=3")) << sent.to_worker();
    EXPECT_FALSE(names(sent.to_worker(), "Cookie"));
}

TEST(RequestWriter, what_a_route_changes_takes_the_place_of_what_came) {
    const Sent sent("GET / HTTP/1.1\r\nHost: a\r\nX-Tenant: b\r\nx-tenant: c\r\nX-Gone: 1\r\nX-Kept: 1\r\n\r\n");
    const FieldEdits edits{{{"X-Tenant", "a"}, {"X-New", ""}}, {"x-gone"}};
    const auto head = sent.to_worker({.edits = &edits});
    EXPECT_TRUE(holds(head, "X-Tenant: a")) << head;
    EXPECT_TRUE(holds(head, "X-New: ")) << head;
    EXPECT_TRUE(holds(head, "X-Kept: 1")) << head;
    EXPECT_FALSE(names(head, "x-tenant") || names(head, "X-Gone") || head.find(": b") != std::string::npos) << head;
}

TEST(RequestWriter, framing_is_ours) {
    const Sent chunked("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n");
    const Sent empty("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 000\r\n\r\n");
    const Sent none("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_TRUE(holds(chunked.to_worker({}, {.framing = chunked.head.framing}), "Transfer-Encoding: chunked"));
    const std::string buffered = chunked.to_worker({}, {.framing = {Framing::Kind::length, 12}});
    EXPECT_TRUE(holds(buffered, "Content-Length: 12"));
    EXPECT_FALSE(names(buffered, "Transfer-Encoding"));
    EXPECT_TRUE(holds(chunked.to_worker(), "Content-Length: 0")); // buffered, and it was empty
    EXPECT_TRUE(holds(empty.to_worker(), "Content-Length: 0"));
    EXPECT_FALSE(names(none.to_worker(), "Content-Length"));
}

TEST(RequestWriter, a_wish_for_trailers_is_passed_on_where_the_connection_stays) {
    const Sent sent("GET / HTTP/1.1\r\nHost: a\r\nTE: gzip;q=0.5, Trailers\r\nConnection: TE\r\n\r\n");
    EXPECT_TRUE(holds(sent.to_worker(), "TE: trailers"));
    EXPECT_TRUE(holds(sent.to_worker(), "Connection: TE"));
    const Sent old("GET / HTTP/1.0\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
    EXPECT_FALSE(names(old.to_worker(), "TE"));
}

TEST(RequestWriter, trailers_are_announced_only_where_chunks_carry_them) {
    const Sent sent("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n");
    EXPECT_TRUE(holds(sent.to_worker({}, {.framing = {Framing::Kind::chunked, 0}}), "Trailer: X-Sum"));
    EXPECT_FALSE(names(sent.to_worker({}, {.framing = {Framing::Kind::length, 2}}), "Trailer"));
}

TEST(RequestWriter, no_trailer_is_announced_that_does_not_go_on) {
    const auto announced = [](const std::string& list, Forwarding about = {}, const std::string& more = "") {
        const Sent sent("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + more + "Trailer: " + list +
                        "\r\n\r\n");
        const std::string head = sent.to_worker(about, {.framing = {Framing::Kind::chunked, 0}});
        const auto at = head.find("\r\nTrailer: ");
        return at == head.npos ? "" : head.substr(at + 11, head.find("\r\n", at + 2) - at - 11);
    };
    EXPECT_EQ(announced("X-Sum,Digest"), "X-Sum, Digest");
    EXPECT_EQ(announced("Digest", {}, "Trailer: X-Sum\r\n"), "X-Sum, Digest") << "in one field";
    std::string many;
    for (int i = 0; i < 200; ++i) many += "X-" + std::to_string(i) + ", ";
    EXPECT_EQ(announced(many).find("X-63"), announced(many).size() - 4) << "as many as are taken";
    EXPECT_EQ(announced("Content-Length, X-Sum, Set-Cookie, X_Real_IP, , if-match, Digest"), "X-Sum, Digest");
    EXPECT_EQ(announced("Authorization, x-forwarded-for, X-Plimsoll-Route"), "") << "and no empty field";
    FieldEdits edits;
    edits.set = {{"x-sum", "ours"}};
    edits.remove = {"digest"};
    EXPECT_EQ(announced("X-Sum, X-More, Digest", {.edits = &edits}), "X-More");
    EXPECT_EQ(announced("X-Hop, X-Sum", {}, "Connection: close\r\nConnection: x-other, x-hop\r\n"), "X-Sum");
    const TrustedFields trusted({"X-Sum"});
    EXPECT_EQ(announced("X-Sum, X-More", {.trusted_fields = &trusted}), "X-More");
    EXPECT_EQ(announced("X-Sum, X-More", {.trusted = true, .trusted_fields = &trusted}), "X-Sum, X-More");
}

TEST(RequestWriter, hop_by_hop_fields_end_here) {
    const Sent sent(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Hop, host, x-forwarded-for\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n"
        "Proxy-Connection: close\r\nTE: gzip\r\nUpgrade: websocket\r\nProxy-Authorization: Basic x\r\n"
        "HTTP2-Settings: x\r\nTrailer: X-A\r\nX-Keep: 1\r\n\r\n");
    const std::string head = sent.to_worker({.peer = "192.0.2.1"});
    for (const char* name : {"Connection", "X-Hop", "Keep-Alive", "Proxy-Connection", "TE", "Upgrade",
                             "Proxy-Authorization", "HTTP2-Settings", "Trailer"})
        EXPECT_FALSE(names(head, name)) << name;
    EXPECT_TRUE(holds(head, "X-Keep: 1"));
    EXPECT_TRUE(holds(head, "Host: a")) << "naming a field in Connection must not take ours away";
    EXPECT_TRUE(holds(head, "X-Forwarded-For: 192.0.2.1"));
}

TEST(RequestWriter, an_upgrade_is_passed_on) {
    const Sent sent("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
                    "Sec-WebSocket-Key: k\r\n\r\n");
    const std::string head = sent.to_worker({}, {.keep_alive = false});
    EXPECT_TRUE(holds(head, "Connection: upgrade\r\nUpgrade: websocket"));
    EXPECT_TRUE(holds(head, "Sec-WebSocket-Key: k"));
    EXPECT_FALSE(holds(head, "Connection: close"));
}

TEST(RequestWriter, what_the_caller_decides) {
    const Sent sent("GET /prefix/x?q HTTP/1.0\r\n\r\n");
    const std::string head =
        sent.to_worker({.fallback_host = "fallback"}, {.path = "/x", .keep_alive = false, .expect = true});
    EXPECT_TRUE(head.starts_with("GET /x?q HTTP/1.1\r\n"));
    EXPECT_TRUE(holds(head, "Host: fallback"));
    EXPECT_TRUE(holds(head, "Connection: close"));
    EXPECT_TRUE(holds(head, "Expect: 100-continue"));
    EXPECT_FALSE(names(head, "X-Forwarded-Host"));
    EXPECT_FALSE(names(head, "X-Forwarded-For")) << "a peer on a unix socket has no address";
}

const char* const claims =
    "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 8.8.8.8\r\n"
    "X-Forwarded-Proto: https\r\nX-Forwarded-Host: public.example\r\nForwarded: for=9.9.9.9\r\n"
    "X-Forwarded-Prefix: /p\r\nX-Real-IP: 9.9.9.9\r\nX-Forwarded-Ssl: on\r\nFront-End-Https: on\r\n"
    "X-Original-URL: /admin\r\nX-Request-Id: theirs\r\n"
    "traceparent: 00-11111111111111111111111111111111-2222222222222222-00\r\ntracestate: a=b\r\n\r\n";

TEST(RequestWriter, a_stranger_cannot_claim_to_be_somebody_else) {
    const std::string head =
        Sent(claims).to_worker({.peer = "192.0.2.1", .request_id = "ours", .traceparent = "trace"});
    EXPECT_EQ(head.find("9.9.9.9"), std::string::npos) << head;
    EXPECT_EQ(head.find("8.8.8.8"), std::string::npos);
    EXPECT_EQ(head.find("public.example"), std::string::npos);
    EXPECT_EQ(head.find("tracestate"), std::string::npos);
    EXPECT_TRUE(holds(head, "X-Forwarded-For: 192.0.2.1"));
    EXPECT_TRUE(holds(head, "X-Forwarded-Proto: http"));
    EXPECT_TRUE(holds(head, "X-Forwarded-Host: a"));
    EXPECT_TRUE(holds(head, "X-Request-Id: ours"));
    EXPECT_TRUE(holds(head, "traceparent: trace"));
    for (const char* name : {"X-Forwarded-Prefix", "X-Real-IP", "X-Forwarded-Ssl", "Front-End-Https", "X-Original-URL"})
        EXPECT_FALSE(names(head, name)) << name;
}

TEST(RequestWriter, a_trusted_proxy_is_believed_and_the_chain_grows) {
    const std::string head =
        Sent(claims).to_worker({.peer = "10.0.0.1", .trusted = true, .request_id = "ours", .traceparent = "t"});
    EXPECT_TRUE(holds(head, "X-Forwarded-For: 9.9.9.9, 8.8.8.8, 10.0.0.1")) << head;
    EXPECT_TRUE(holds(head, "X-Forwarded-Proto: https"));
    EXPECT_TRUE(holds(head, "X-Forwarded-Host: public.example"));
    EXPECT_TRUE(holds(head, "Forwarded: for=9.9.9.9, for=10.0.0.1;host=\"a\";proto=http"));
    EXPECT_TRUE(holds(head, "X-Request-Id: theirs"));
    EXPECT_TRUE(holds(head, "traceparent: 00-11111111111111111111111111111111-2222222222222222-00"));
    EXPECT_TRUE(holds(head, "tracestate: a=b"));
    EXPECT_TRUE(holds(head, "X-Real-IP: 9.9.9.9"));
}

// A load balancer that sets X-Forwarded-For and -Proto passes on what a stranger wrote of the rest.
TEST(RequestWriter, of_a_trusted_proxy_that_is_believed_which_it_writes_itself) {
    const OwnClaims balancer({"X-Forwarded-For", "X-Forwarded-Proto"});
    const std::string head = Sent(claims).to_worker(
        {.peer = "10.0.0.1", .trusted = true, .request_id = "ours", .traceparent = "t", .claims = &balancer});
    EXPECT_TRUE(holds(head, "X-Forwarded-For: 9.9.9.9, 8.8.8.8, 10.0.0.1")) << head;
    EXPECT_TRUE(holds(head, "X-Forwarded-Proto: https"));
    EXPECT_TRUE(holds(head, "X-Forwarded-Host: a"));
    EXPECT_TRUE(holds(head, "Forwarded: for=9.9.9.9, for=8.8.8.8;proto=https, for=10.0.0.1;host=\"a\""));
    EXPECT_TRUE(holds(head, "X-Request-Id: ours"));
    EXPECT_TRUE(holds(head, "traceparent: t"));
    for (const char* name :
         {"X-Forwarded-Prefix", "X-Real-IP", "X-Forwarded-Ssl", "Front-End-Https", "X-Original-URL", "tracestate"})
        EXPECT_FALSE(names(head, name)) << name;

    const OwnClaims other({"Forwarded", "X-Real-IP", "X-Forwarded-S*"});
    const std::string told = Sent(claims).to_worker({.peer = "10.0.0.1", .trusted = true, .claims = &other});
    EXPECT_TRUE(holds(told, "X-Forwarded-For: 10.0.0.1")) << told;
    EXPECT_TRUE(holds(told, "Forwarded: for=9.9.9.9, for=10.0.0.1;host=\"a\";proto=http"));
    EXPECT_TRUE(holds(told, "X-Real-IP: 9.9.9.9"));
    EXPECT_TRUE(holds(told, "X-Forwarded-Ssl: on"));
    EXPECT_FALSE(names(told, "X-Forwarded-Prefix"));

    const OwnClaims none(std::vector<std::string>{});
    EXPECT_FALSE(names(Sent(claims).to_worker({.trusted = true, .claims = &none}), "X-Forwarded-For"));
}

TEST(RequestWriter, of_a_trusted_proxy_that_is_believed_what_trusted_fields_names) {
    const OwnClaims balancer({"X-Forwarded-For"});
    const TrustedFields named({"X-Real-IP"});
    const auto told = [&](bool trusted) {
        return Sent(claims).to_worker({.trusted = trusted, .trusted_fields = &named, .claims = &balancer});
    };
    EXPECT_TRUE(names(told(true), "X-Real-IP"));
    EXPECT_FALSE(names(told(true), "X-Forwarded-Ssl"));
    EXPECT_FALSE(names(told(false), "X-Real-IP"));
}

// An application begins its links with it: "//evil.example/login" is another host's.
TEST(RequestWriter, a_prefix_that_leads_elsewhere_is_not_told) {
    for (const char* prefix :
         {"//evil.example", "/\\evil.example", "/a//evil.example", "/a/../b", "/.", "/a, /b", "/%2fevil.example",
          "/%5cevil.example", "/a%2f", "/%0d%0aX:1", "/%00", "/%2e%2e", "/%", "/a b", "a", "/", "/?a", "https://a"})
        for (const Mount mount : {Mount::as_told, Mount::deeper}) {
            const Sent sent("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Prefix: " + std::string(prefix) + "\r\n\r\n");
            const std::string head = sent.to_worker({.trusted = true, .mount = mount, .stripped = "/app"});
            EXPECT_FALSE(mount == Mount::as_told && names(head, "X-Forwarded-Prefix")) << prefix;
            EXPECT_FALSE(mount == Mount::deeper && !holds(head, "X-Forwarded-Prefix: /app")) << head;
        }
    for (const char* prefix : {"/app", "/app/", "/a%20b/c.d", "/~user;v=1"}) {
        const Sent sent("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Prefix: " + std::string(prefix) + "\r\n\r\n");
        EXPECT_TRUE(holds(sent.to_worker({.trusted = true}), "X-Forwarded-Prefix: " + std::string(prefix)));
    }
}

// What the worker is told in Forwarded where a trusted peer told `fields` to us.
std::string forwarded_beside(const std::string& fields, std::string_view peer = "10.0.0.1") {
    const std::string head =
        Sent("GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n").to_worker({.peer = peer, .trusted = true});
    const std::string name = "\r\nForwarded: ";
    const auto at = head.find(name) + name.size();
    return head.substr(at, head.find("\r\n", at) - at);
}

TEST(RequestWriter, forwarded_says_what_the_older_fields_of_a_trusted_proxy_say) {
    EXPECT_EQ(forwarded_beside("X-Forwarded-For: 9.9.9.9, 8.8.8.8\r\nX-Forwarded-Proto: https\r\n"
                               "X-Forwarded-Host: public.example\r\n"),
              "for=9.9.9.9, for=8.8.8.8;host=\"public.example\";proto=https, for=10.0.0.1");
    EXPECT_EQ(forwarded_beside("X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 8.8.8.8\r\n"),
              "for=9.9.9.9, for=8.8.8.8, for=10.0.0.1;host=\"a\";proto=http")
        << "what it did not tell is what was seen";
    EXPECT_EQ(forwarded_beside("X-Forwarded-For: 2001:db8::1, [2001:db8::2]:80, [::1], 1.1.1.1:5000\r\n"),
              "for=\"[2001:db8::1]\", for=\"[2001:db8::2]:80\", for=\"[::1]\", for=\"1.1.1.1:5000\", "
              "for=10.0.0.1;host=\"a\";proto=http");
    EXPECT_EQ(forwarded_beside("X-Forwarded-For: x\";proto=https, unknown, [1.1.1.1], 1.1.1.1:123456, ,\r\n"),
              "for=unknown, for=unknown, for=unknown, for=unknown, for=10.0.0.1;host=\"a\";proto=http");
    EXPECT_EQ(forwarded_beside("X-Forwarded-Proto: https\r\n"), "for=unknown;proto=https, for=10.0.0.1;host=\"a\"")
        << "somebody was there before it";
    EXPECT_EQ(forwarded_beside("X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n", ""),
              "for=9.9.9.9;proto=https, host=\"a\"")
        << "a peer on a unix socket";
    EXPECT_EQ(forwarded_beside("X-Forwarded-For: \r\nX-Forwarded-Proto: gopher\r\n"),
              "for=10.0.0.1;host=\"a\";proto=http")
        << "it told nothing";
    EXPECT_EQ(forwarded_beside("X-Forwarded-For: 9.9.9.9\r\nForwarded: for=7.7.7.7\r\n"),
              "for=7.7.7.7, for=10.0.0.1;host=\"a\";proto=http")
        << "its own word of it is left alone";
    std::string many = "X-Forwarded-For: ";
    for (int i = 0; i < 1000; ++i) many += "a,";
    const auto told = forwarded_beside(many + "9.9.9.9\r\n");
    EXPECT_LT(told.size(), 1'000u) << "whoever began the list chose how many there are";
    EXPECT_NE(told.find(", for=9.9.9.9, for=10.0.0.1"), told.npos) << "the last ones tell something";
}

TEST(RequestWriter, what_the_operator_names_is_taken_from_a_trusted_proxy_alone) {
    const Sent sent("GET / HTTP/1.1\r\nHost: a\r\nX-WebAuth-USER: root\r\nTailscale-User-Login: "
                    "root\r\nX-WebAuth-Userx: a\r\n\r\n");
    const TrustedFields fields({"x-webauth-user", "Tailscale-*"});
    const std::string stranger = sent.to_worker({.peer = "192.0.2.1", .trusted_fields = &fields});
    EXPECT_EQ(stranger.find("root"), std::string::npos) << stranger;
    EXPECT_TRUE(holds(stranger, "X-WebAuth-Userx: a"));
    const std::string proxy = sent.to_worker({.peer = "10.0.0.1", .trusted = true, .trusted_fields = &fields});
    EXPECT_TRUE(holds(proxy, "X-WebAuth-USER: root"));
    EXPECT_TRUE(holds(proxy, "Tailscale-User-Login: root"));
}

TEST(RequestWriter, nonsense_of_a_trusted_proxy_is_not_passed_on) {
    const Sent sent("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-Host: a b\r\n"
                    "X-Request-Id: a b\r\ntraceparent: 00-00000000000000000000000000000000-2222222222222222-00\r\n"
                    "tracestate: a=b\r\n\r\n");
    const std::string head = sent.to_worker({.peer = "10.0.0.1", .trusted = true, .tls = true, .request_id = "ours"});
    EXPECT_TRUE(holds(head, "X-Forwarded-Proto: https"));
    EXPECT_TRUE(holds(head, "X-Forwarded-Host: a"));
    EXPECT_TRUE(holds(head, "X-Request-Id: ours"));
    EXPECT_FALSE(names(head, "traceparent"));
    EXPECT_FALSE(names(head, "tracestate")) << "it belongs to a trace that ends here";
    EXPECT_FALSE(
        names(Sent("GET / HTTP/1.1\r\nHost: a\r\ntracestate: a=b\r\n\r\n").to_worker({.trusted = true}), "tracestate"));
}

TEST(RequestWriter, no_name_reaches_wsgi_that_could_be_taken_for_another) {
    const Sent sent(
        "GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 9.9.9.9\r\nX_Request-Id: x\r\nContent_Length: 5\r\n"
        "SCRIPT_NAME: /x\r\nREMOTE_USER: root\r\nProxy: http://evil\r\nX-Plimsoll-Route: r\r\nx-plimsoll-any: r\r\n"
        "Under-Score: ok\r\n\r\n");
    const std::string head = sent.to_worker({.trusted = true});
    EXPECT_EQ(head.find('_'), std::string::npos) << head;
    EXPECT_FALSE(names(head, "Proxy"));
    EXPECT_EQ(head.find("limsoll-"), std::string::npos);
    EXPECT_TRUE(holds(head, "Under-Score: ok"));
}

TEST(RequestWriter, ipv6_peers_are_quoted_in_forwarded) {
    const std::string head = Sent("GET / HTTP/1.1\r\nHost: a\r\n\r\n").to_worker({.peer = "2001:db8::1"});
    EXPECT_TRUE(holds(head, "X-Forwarded-For: 2001:db8::1"));
    EXPECT_TRUE(holds(head, "Forwarded: for=\"[2001:db8::1]\";host=\"a\";proto=http"));
}

TEST(RequestWriter, max_forwards_counts_down) {
    EXPECT_TRUE(holds(Sent("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n").to_worker(), "Max-Forwards: 2"));
    EXPECT_TRUE(holds(Sent("GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n").to_worker(), "Max-Forwards: 3"));
}

TEST(RequestWriter, a_buffer_too_small_gives_nothing_at_any_size) {
    const Sent sent(claims);
    std::array<char, 2048> buffer;
    const std::size_t whole = write_request_head(sent.head, {.peer = "1.1.1.1"}, {}, buffer);
    ASSERT_GT(whole, 0U);
    for (std::size_t size = 0; size < whole; ++size) {
        std::vector<char> small(size); // exact, so that a byte too many is found
        EXPECT_EQ(write_request_head(sent.head, {.peer = "1.1.1.1"}, {}, small), 0U);
    }
}

// What is written must be read back by our own strict parser, with nothing changed that matters.
TEST(RequestWriter, a_written_head_is_a_head) {
    const std::string head = Sent(claims).to_worker({.peer = "10.0.0.1", .trusted = true});
    RequestHead again;
    const Parsed parsed = parse_request(head, 0, {}, again);
    EXPECT_EQ(parsed.state, Parsed::State::complete) << parsed.refusal.detail;
    EXPECT_EQ(parsed.size, head.size());
}

struct Got {
    std::string bytes;
    ResponseHead head;
    explicit Got(std::string text, Asked asked = {}) : bytes(std::move(text)) {
        EXPECT_EQ(parse_response(bytes, 0, {}, asked, head).state, Parsed::State::complete) << bytes;
    }
    std::string to_client(ToClient how) const {
        std::array<char, 4096> buffer;
        return {buffer.data(), write_response_head(head, how, buffer)};
    }
};

TEST(ResponseWriter, writes_the_head_anew) {
    const Got got("HTTP/1.0 200\r\nContent-Type:text/plain\r\nContent-Length: 05\r\nServer: gunicorn\r\nConnection: "
                  "close, x-hop\r\n"
                  "X-Hop: 1\r\nKeep-Alive: 5\r\nX-Plimsoll-Route: r\r\nX-Plimsoll-Reason: forged\r\nSet-Cookie: a=1\r\n"
                  "Set-Cookie: b=2\r\nTrailer: X\r\n\r\n");
    EXPECT_EQ(got.to_client({.framing = got.head.framing, .date = "DATE", .request_id = "id"}),
              "HTTP/1.1 200 OK\r\n"
              "Content-Type: text/plain\r\n"
              "Server: gunicorn\r\n"
              "Set-Cookie: a=1\r\n"
              "Set-Cookie: b=2\r\n"
              "Content-Length: 5\r\n"
              "Date: DATE\r\n"
              "X-Request-Id: id\r\n\r\n");
}

TEST(ResponseWriter, date_and_request_id_of_the_worker_stay) {
    const Got got("HTTP/1.1 200 OK\r\nDate: theirs\r\nX-Request-Id: theirs\r\nContent-Length: 0\r\n\r\n");
    const std::string head = got.to_client({.date = "ours", .request_id = "ours"});
    EXPECT_EQ(head.find("ours"), std::string::npos);
    EXPECT_TRUE(holds(head, "Date: theirs"));
    EXPECT_TRUE(holds(head, "Content-Length: 0"));
}

TEST(ResponseWriter, server_field_is_a_choice) {
    const Got got("HTTP/1.1 200 OK\r\nServer: gunicorn\r\nContent-Length: 0\r\n\r\n");
    EXPECT_TRUE(holds(got.to_client({.server = ServerField::pass}), "Server: gunicorn"));
    EXPECT_FALSE(names(got.to_client({.server = ServerField::drop}), "Server"));
    EXPECT_TRUE(holds(got.to_client({.server = ServerField::own}), "Server: plimsoll"));
}

TEST(ResponseWriter, framing_suits_the_client) {
    using Kind = Framing::Kind;
    EXPECT_EQ(client_framing({Kind::until_close, 0}, 1).kind, Kind::chunked);
    EXPECT_EQ(client_framing({Kind::until_close, 0}, 0).kind, Kind::until_close);
    EXPECT_EQ(client_framing({Kind::chunked, 0}, 1).kind, Kind::chunked);
    EXPECT_EQ(client_framing({Kind::chunked, 0}, 0).kind, Kind::until_close);
    EXPECT_EQ(client_framing({Kind::length, 5}, 0).length, 5U);
    const Got got("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n");
    const std::string head = got.to_client({.framing = {Kind::chunked, 0}});
    EXPECT_TRUE(holds(head, "Transfer-Encoding: chunked"));
    EXPECT_TRUE(holds(head, "Trailer: X"));
    const std::string old = got.to_client({.framing = {Kind::until_close, 0}, .minor = 0, .keep_alive = false});
    EXPECT_FALSE(names(old, "Transfer-Encoding") || names(old, "Trailer"));
    EXPECT_TRUE(holds(old, "Connection: close"));
}

TEST(ResponseWriter, no_trailer_is_announced_that_does_not_go_on) {
    using Kind = Framing::Kind;
    const auto announced = [](const std::string& list, ToClient how = {}, const std::string& more = "") {
        how.framing = {Kind::chunked, 0};
        const Got got("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + more + "Trailer: " + list + "\r\n\r\n");
        const std::string head = got.to_client(how);
        const auto at = head.find("\r\nTrailer: ");
        return at == head.npos ? "" : head.substr(at + 11, head.find("\r\n", at + 2) - at - 11);
    };
    EXPECT_EQ(announced("Server, X-Sum"), "Server, X-Sum");
    EXPECT_EQ(announced("Server, X-Sum", {.server = ServerField::own}), "X-Sum");
    EXPECT_EQ(announced("Server", {.server = ServerField::drop}), "");
    EXPECT_EQ(announced("Transfer-Encoding, Set-Cookie, X-Sum, X-Plimsoll-Route"), "X-Sum");
    EXPECT_EQ(announced("X-Hop, X-Sum", {}, "Connection: X-Hop\r\n"), "X-Sum");
    FieldEdits edits;
    edits.remove = {"x-secret"};
    EXPECT_EQ(announced("X-Secret, X-Sum", {.edits = &edits}), "X-Sum");
    const Got ended("HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\n\r\n");
    EXPECT_FALSE(names(ended.to_client({.framing = {Kind::chunked, 0}}), "Trailer")) << "there is no place for any";
}

TEST(ResponseWriter, http_10_clients_must_be_told_of_keep_alive) {
    const Got got("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    EXPECT_TRUE(holds(got.to_client({.minor = 0}), "Connection: keep-alive"));
    EXPECT_FALSE(names(got.to_client({.minor = 1}), "Connection"));
}

TEST(ResponseWriter, responses_without_body) {
    const Got head_only("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", {.head = true});
    EXPECT_TRUE(holds(head_only.to_client({}), "Content-Length: 500"));
    const Got not_modified("HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\nETag: \"a\"\r\n\r\n");
    EXPECT_TRUE(holds(not_modified.to_client({}), "Content-Length: 500"));
    const Got no_content("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n");
    EXPECT_FALSE(names(no_content.to_client({}), "Content-Length"));
    const Got hints("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    EXPECT_EQ(hints.to_client({.keep_alive = false, .date = "d", .request_id = "i"}),
              "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
}

TEST(ResponseWriter, switching_protocols_keeps_its_upgrade) {
    const Got got("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
                  "Upgrade\r\nSec-WebSocket-Accept: k\r\n\r\n",
                  {.upgrade_to = "websocket"});
    const std::string head = got.to_client({.framing = got.head.framing});
    EXPECT_TRUE(holds(head, "Upgrade: websocket"));
    EXPECT_TRUE(holds(head, "Connection: upgrade"));
    EXPECT_TRUE(holds(head, "Sec-WebSocket-Accept: k"));
    EXPECT_FALSE(names(head, "Content-Length"));
}

TEST(ResponseWriter, upgrade_required_says_to_what) {
    const Got bare("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n");
    EXPECT_FALSE(names(bare.to_client({.framing = bare.head.framing}), "Connection")) << "it does not say to what";
    const Got got("HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Content-Length: 0\r\n\r\n");
    const std::string head = got.to_client({.framing = got.head.framing});
    EXPECT_TRUE(holds(head, "Upgrade: websocket"));
    EXPECT_TRUE(holds(head, "Connection: upgrade"));
    EXPECT_TRUE(holds(head, "Content-Length: 0"));
}

TEST(Refusal, says_why_in_the_head_and_in_the_body) {
    std::array<char, 2048> buffer;
    const Answer answer{.refusal = {503, "queue_full", "too many requests wait already"},
                        .retry_after_seconds = 2,
                        .keep_alive = true,
                        .date = "DATE",
                        .request_id = "id"};
    EXPECT_EQ(std::string_view(buffer.data(), write_refusal(answer, buffer)),
              "HTTP/1.1 503 Service Unavailable\r\n"
              "Date: DATE\r\n"
              "Content-Type: text/plain; charset=utf-8\r\n"
              "Content-Length: 67\r\n"
              "Cache-Control: no-store\r\n"
              "X-Plimsoll-Reason: queue_full\r\n"
              "Retry-After: 2\r\n"
              "X-Request-Id: id\r\n\r\n"
              "503 Service Unavailable: queue_full\n"
              "too many requests wait already\n");
}

TEST(Refusal, speaks_json_where_it_is_asked_for_and_sends_no_body_to_head) {
    std::array<char, 2048> buffer;
    Answer answer{.refusal = {400, "bad_host", "no Host"}, .json = true};
    const std::string full(buffer.data(), write_refusal(answer, buffer));
    EXPECT_TRUE(holds(full, "Content-Type: application/problem+json"));
    EXPECT_TRUE(holds(full, "Connection: close"));
    EXPECT_TRUE(full.ends_with(
        "\r\n\r\n{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,\"reason\":\"bad_host\","
        "\"detail\":\"no Host\"}\n"));
    answer.head_only = true;
    const std::string head(buffer.data(), write_refusal(answer, buffer));
    EXPECT_TRUE(head.ends_with("\r\n\r\n"));
    EXPECT_EQ(head, full.substr(0, head.size()));

    EXPECT_TRUE(wants_json(Sent("GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html, application/json\r\n\r\n").head));
    EXPECT_FALSE(wants_json(Sent("GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html, */*\r\n\r\n").head));
}

TEST(Refusal, json_is_for_those_who_accept_it) {
    const auto wants = [](const std::string& accept) {
        return wants_json(Sent("GET / HTTP/1.1\r\nHost: a\r\n" + accept + "\r\n").head);
    };
    for (const char* yes :
         {"application/problem+json", "text/html;q=0.9, application/json;q=0.1", "application/json",
          "application/json; charset=utf-8", "text/html;q=0,application/json", "application/json;q=0.001"})
        EXPECT_TRUE(wants("Accept: " + std::string(yes) + "\r\n")) << yes;
    for (const char* no : {"application/json;q=0", "text/html, application/json; q=0.000", "text/html", "*/*", "", ";",
                           ",,", "application/json;Q=0, text/plain"})
        EXPECT_FALSE(wants("Accept: " + std::string(no) + "\r\n")) << no;
    EXPECT_TRUE(wants("Accept: text/html\r\nAccept: application/json\r\n"));
    EXPECT_FALSE(wants(""));
}

TEST(HttpDate, is_imf_fixdate) {
    using namespace std::chrono;
    const auto text = [](sys_seconds at) {
        const DateText date = http_date(at);
        return std::string(date.begin(), date.end());
    };
    EXPECT_EQ(text(sys_seconds{seconds{784111777}}), "Sun, 06 Nov 1994 08:49:37 GMT");
    EXPECT_EQ(text(sys_seconds{seconds{0}}), "Thu, 01 Jan 1970 00:00:00 GMT");
    EXPECT_EQ(text(sys_days{February / 29 / 2028} + 23h + 59min + 59s), "Tue, 29 Feb 2028 23:59:59 GMT");
}

TEST(Identity, is_never_all_zero_and_tells_whether_it_is_sampled) {
    EXPECT_EQ(Identity({0, 0, 0}).traceparent(), "00-00000000000000000000000000000001-0000000000000001-01");
    const auto flag = [](std::uint64_t trace_id, double share) {
        return std::string(Identity({7, trace_id, 7}, share).traceparent().substr(52));
    };
    const std::uint64_t most = ~std::uint64_t{0}, half = most / 2;
    EXPECT_EQ(flag(0, 0), "-00");
    EXPECT_EQ(flag(most, 1), "-01");
    EXPECT_EQ(flag(half - 10'000, 0.5), "-01");
    EXPECT_EQ(flag(half + 10'000, 0.5), "-00");
    EXPECT_EQ(flag(most / 100 * 99, 0.01), "-00");
    EXPECT_EQ(Identity({1, 2, 3}).request_id(), Identity({1, 2, 3}).traceparent().substr(3, 32));
}

} // namespace
} // namespace plimsoll::http
