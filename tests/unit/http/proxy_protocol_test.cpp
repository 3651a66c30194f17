#include "net/http/proxy_protocol.hpp"

#include <gtest/gtest.h>

namespace plimsoll::http {
namespace {

using namespace std::string_literals;
using State = ProxyHeader::State;
using Source = ProxyHeader::Source;

const std::string signature = "\r\n\r\n\0\r\nQUIT\n"s;

std::string v2(char command, char family, const std::string& rest) {
    return signature + command + family + static_cast<char>(rest.size() >> 8) + static_cast<char>(rest.size() & 0xff) +
           rest;
}
const std::string four = "\xc0\x00\x02\x01\xc0\x00\x02\x09\xc7\x38\x01\xbb"s; // 192.0.2.1 to 192.0.2.9
std::string six(const std::string& first) { return first + std::string(16, '\1') + "\0\1\0\2"s; }

struct Case {
    std::string name, bytes;
    State state;
    Source source = Source::untold;
    std::string address = "";
    std::uint16_t port = 0;
};

const std::vector<Case> cases = {
    {"v1 over IPv4", "PROXY TCP4 192.0.2.1 192.0.2.9 51000 443\r\n", State::complete, Source::client, "192.0.2.1",
     51000},
    {"v1 over IPv6", "PROXY TCP6 2001:DB8:0::1 ::1 0 65535\r\n", State::complete, Source::client, "2001:db8::1"},
    {"v1, IPv4 in IPv6", "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", State::complete, Source::client, "192.0.2.1", 1},
    {"v1, longest", "PROXY UNKNOWN " + std::string(91, 'f') + "\r\n", State::complete},
    {"v1 of somebody", "PROXY UNKNOWN\r\n", State::complete},
    {"v1, a byte too long", "PROXY UNKNOWN " + std::string(92, 'f') + "\r\n", State::error},
    {"v1 without end", "PROXY UNKNOWN " + std::string(200, 'f'), State::error},
    {"v1, bare LF", "PROXY UNKNOWN\n", State::error},
    {"v1, bare CR", "PROXY UNKNOWN\rx", State::error},
    {"v1, another protocol", "PROXY TCP5 192.0.2.1 192.0.2.9 51000 443\r\n", State::error},
    {"v1, the wrong family", "PROXY TCP4 ::1 ::1 51000 443\r\n", State::error},
    {"v1, no address", "PROXY TCP4 192.0.2.256 192.0.2.9 51000 443\r\n", State::error},
    {"v1, a name", "PROXY TCP4 localhost 192.0.2.9 51000 443\r\n", State::error},
    {"v1, a port too high", "PROXY TCP4 192.0.2.1 192.0.2.9 65536 443\r\n", State::error},
    {"v1, no port", "PROXY TCP4 192.0.2.1 192.0.2.9 51000\r\n", State::error},
    {"v1, a signed port", "PROXY TCP4 192.0.2.1 192.0.2.9 +1 443\r\n", State::error},
    {"v1, two spaces", "PROXY TCP4  192.0.2.1 192.0.2.9 51000 443\r\n", State::error},
    {"v1, a space at its end", "PROXY TCP4 192.0.2.1 192.0.2.9 51000 443 \r\n", State::error},
    {"v1, one more word", "PROXY TCP4 192.0.2.1 192.0.2.9 51000 443 x\r\n", State::error},
    {"v1 in small letters", "proxy TCP4 192.0.2.1 192.0.2.9 51000 443\r\n", State::error},
    {"v2 over IPv4", v2('\x21', '\x11', four), State::complete, Source::client, "192.0.2.1", 51000},
    {"v2 over IPv6", v2('\x21', '\x21', six("\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\1")), State::complete,
     Source::client, "2001:db8::1", 1},
    {"v2, IPv4 in IPv6", v2('\x21', '\x21', six(std::string(10, '\0') + "\xff\xff\xc0\x00\x02\x01"s)), State::complete,
     Source::client, "192.0.2.1", 1},
    {"v2 with TLVs", v2('\x21', '\x11', four + std::string(300, '\x04')), State::complete, Source::client, "192.0.2.1",
     51000},
    {"v2 local", v2('\x20', '\x00', ""), State::complete, Source::sender},
    {"v2 local with addresses", v2('\x20', '\x11', four), State::complete, Source::sender},
    {"v2 unspecified", v2('\x21', '\x00', "anything"), State::complete},
    {"v2 over a unix socket", v2('\x21', '\x31', std::string(216, '/')), State::complete},
    {"v2, longest", v2('\x21', '\x11', four + std::string(4096 - 16 - 12, 'x')), State::complete, Source::client,
     "192.0.2.1", 51000},
    {"v2, a byte too long", v2('\x21', '\x11', four + std::string(4096 - 16 - 11, 'x')), State::error},
    {"v2, version 1", v2('\x11', '\x11', four), State::error},
    {"v2, an unknown command", v2('\x22', '\x11', four), State::error},
    {"v2, datagrams", v2('\x21', '\x12', four), State::error},
    {"v2, too short for its family", v2('\x21', '\x11', four.substr(1)), State::error},
    {"v2, a broken signature", "\r\n\r\n\0\r\nQUIX\n"s, State::error},
    {"a request", "GET / HTTP/1.1\r\n", State::error},
};

TEST(ProxyProtocol, tells_whose_the_bytes_are) {
    for (const auto& each : cases) {
        const auto header = parse_proxy_header(each.bytes + "GET /");
        EXPECT_EQ(header.state, each.state) << each.name;
        if (each.state != State::complete) continue;
        EXPECT_EQ(header.size, each.bytes.size()) << each.name;
        EXPECT_EQ(header.source, each.source) << each.name;
        EXPECT_EQ(header.address, each.address) << each.name;
        EXPECT_EQ(header.port, each.port) << each.name;
    }
}

TEST(ProxyProtocol, a_cut_at_any_byte_changes_nothing) {
    for (const auto& each : cases) {
        auto verdict = State::need_more;
        for (std::size_t size = 0; size <= each.bytes.size(); ++size) {
            const auto header = parse_proxy_header(std::string_view(each.bytes).substr(0, size));
            if (verdict == State::error) {
                EXPECT_EQ(header.state, State::error) << each.name << " at " << size; // nothing that follows mends it
            }
            verdict = header.state;
            if (verdict == State::complete) {
                EXPECT_EQ(size, each.bytes.size()) << each.name;
            }
        }
        if (each.state == State::complete) {
            EXPECT_EQ(verdict, State::complete) << each.name;
        }
    }
}

} // namespace
} // namespace plimsoll::http
