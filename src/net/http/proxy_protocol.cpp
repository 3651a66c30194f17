#include "net/http/proxy_protocol.hpp"

#include <algorithm>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "net/http/chars.hpp"
#include "net/http/fields.hpp"

namespace plimsoll::http {
namespace {

using State = ProxyHeader::State;
using Source = ProxyHeader::Source;
using namespace std::string_view_literals;

constexpr auto v1_start = "PROXY "sv;
constexpr auto v2_start = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr std::size_t v2_fixed = 16; // signature, version and command, family, length

ProxyHeader error() { return {State::error, Source::untold, {}, 0, 0}; }

// As the kernel would name the peer: IPv4 in IPv6 is IPv4.
std::string text_of(int family, const void* address) {
    char text[INET6_ADDRSTRLEN] = "";
    if (family == AF_INET6) {
        in6_addr v6;
        std::memcpy(&v6, address, sizeof v6);
        if (IN6_IS_ADDR_V4MAPPED(&v6)) return text_of(AF_INET, &v6.s6_addr[12]);
    }
    inet_ntop(family, address, text, sizeof text);
    return text;
}

// The text of an address of this family, in its usual form; empty: it is none.
std::string parsed_address(int family, std::string_view text) {
    char terminated[INET6_ADDRSTRLEN];
    in6_addr address{};
    if (text.size() >= sizeof terminated) return {};
    terminated[text.copy(terminated, text.size())] = '\0';
    return inet_pton(family, terminated, &address) == 1 ? text_of(family, &address) : std::string();
}

std::optional<std::uint16_t> parsed_port(std::string_view text) {
    const auto port = parse_decimal(text);
    if (text.size() > 5 || !port || *port > 65535) return std::nullopt;
    return static_cast<std::uint16_t>(*port);
}

ProxyHeader parse_v1(std::string_view bytes) {
    const auto line = bytes.substr(0, longest_proxy_v1);
    const auto end = line.find_first_of("\r\n");
    if (end == std::string_view::npos) return bytes.size() < longest_proxy_v1 ? ProxyHeader{} : error();
    if (line[end] != '\r') return error();
    if (end + 1 == bytes.size()) return end + 1 < longest_proxy_v1 ? ProxyHeader{} : error();
    if (end + 1 == line.size() || line[end + 1] != '\n') return error();

    std::string_view rest = line.substr(v1_start.size(), end - v1_start.size());
    std::string_view words[5];
    for (auto& word : words) {
        word = rest.substr(0, rest.find(' '));
        rest.remove_prefix(std::min(word.size() + 1, rest.size()));
        if (word == "UNKNOWN" && &word == words)
            return {State::complete, Source::untold, {}, 0, end + 2}; // the rest is not read
    }
    const int family = words[0] == "TCP4" ? AF_INET : AF_INET6;
    if ((family == AF_INET6 && words[0] != "TCP6") || !rest.empty() || line[end - 1] == ' ') return error();
    auto address = parsed_address(family, words[1]);
    const auto port = parsed_port(words[3]);
    if (address.empty() || parsed_address(family, words[2]).empty() || !port || !parsed_port(words[4])) return error();
    return {State::complete, Source::client, std::move(address), *port, end + 2};
}

ProxyHeader parse_v2(std::string_view bytes) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned>(static_cast<unsigned char>(bytes[at])); };
    constexpr std::size_t command_at = 12, family_at = 13, length_at = 14;
    if (bytes.size() > command_at && byte(command_at) != 0x20 && byte(command_at) != 0x21) return error();
    if (bytes.size() < v2_fixed) return {};
    const std::size_t length = byte(length_at) << 8 | byte(length_at + 1);
    if (v2_fixed + length > longest_proxy_v2) return error();

    const bool local = byte(command_at) == 0x20;
    const unsigned family = byte(family_at);
    constexpr unsigned unspecified = 0x00, tcp4 = 0x11, tcp6 = 0x21, unix_stream = 0x31;
    const std::size_t needed = local || family == unspecified ? 0 : family == tcp4 ? 12 : family == tcp6 ? 36 : 216;
    const bool known = local || family == unspecified || family == tcp4 || family == tcp6 || family == unix_stream;
    if (!known || length < needed) return error(); // datagrams do not come over a connection
    if (bytes.size() < v2_fixed + length) return {};

    ProxyHeader header{State::complete, local ? Source::sender : Source::untold, {}, 0, v2_fixed + length};
    if (local || (family != tcp4 && family != tcp6)) return header;
    header.source = Source::client;
    header.address = text_of(family == tcp4 ? AF_INET : AF_INET6, bytes.data() + v2_fixed);
    const std::size_t port_at = v2_fixed + (family == tcp4 ? 8 : 32); // behind both addresses
    header.port = static_cast<std::uint16_t>(byte(port_at) << 8 | byte(port_at + 1));
    return header;
}

} // namespace

ProxyHeader parse_proxy_header(std::string_view bytes) {
    const auto begins = [&](std::string_view with) {
        const auto size = std::min(bytes.size(), with.size());
        return bytes.substr(0, size) == with.substr(0, size);
    };
    if (begins(v1_start)) return bytes.size() < v1_start.size() ? ProxyHeader{} : parse_v1(bytes);
    if (begins(v2_start)) return parse_v2(bytes);
    return error();
}

} // namespace plimsoll::http
