#include "config/place.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

#include <arpa/inet.h>
#include <sys/un.h>

namespace plimsoll::config {
namespace {

constexpr std::size_t longest_path = sizeof(sockaddr_un{}.sun_path) - 1;
constexpr std::size_t longest_host = 253;

bool is_numeric(int family, std::string_view text) {
    unsigned char address[sizeof(in6_addr)];
    return inet_pton(family, std::string(text).c_str(), address) == 1;
}

// A name of the DNS or a service of Compose, which also allows underscores.
bool is_host_name(std::string_view text) {
    bool only_digits = text.find_first_not_of("0123456789.") == std::string_view::npos;
    return !text.empty() && text.size() <= longest_host && !only_digits && text.front() != '-' && text.front() != '.' &&
           std::all_of(text.begin(), text.end(),
                       [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_'; });
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size()) return {};
    return port;
}

std::optional<Place> unix_place(std::string_view path, std::string& why_not) {
    if (path.empty() || path.front() != '/') {
        why_not = "the path of a unix socket must be absolute: unix:/run/app.sock";
        return {};
    }
    if (path.size() > longest_path) {
        why_not = "the path of a unix socket may have at most " + std::to_string(longest_path) +
                  " bytes, this one has " + std::to_string(path.size());
        return {};
    }
    return Place{.unix_socket = true, .host = {}, .port = 0, .path = std::string(path)};
}

std::optional<Place> tcp_place(std::string_view text, std::string& why_not) {
    auto colon = text.rfind(':');
    auto bracket = text.rfind(']');
    if (colon == std::string_view::npos || (bracket != std::string_view::npos && bracket > colon)) {
        why_not = "the port is missing: write HOST:PORT, [IPV6]:PORT or unix:/path";
        return {};
    }
    auto host = text.substr(0, colon);
    auto port = parse_port(text.substr(colon + 1));
    if (!port) {
        why_not = "the port must be a number from 0 to 65535";
        return {};
    }
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
        if (!is_numeric(AF_INET6, host)) {
            why_not = "no IPv6 address stands between the brackets";
            return {};
        }
    } else if (host.find(':') != std::string_view::npos) {
        why_not = "an IPv6 address needs brackets: [::1]:8080";
        return {};
    } else if (!host.empty() && !is_numeric(AF_INET, host) && !is_host_name(host)) {
        why_not = "'" + std::string(host) + "' is neither an IP address nor a host name";
        return {};
    }
    return Place{.unix_socket = false, .host = std::string(host), .port = *port, .path = {}};
}

} // namespace

std::string Place::canonical() const {
    if (unix_socket) return path;
    in6_addr bytes{};
    char text[INET6_ADDRSTRLEN] = "";
    if (inet_pton(AF_INET6, host.c_str(), &bytes) != 1 || !inet_ntop(AF_INET6, &bytes, text, sizeof text))
        return (host.empty() ? "0.0.0.0" : host == "localhost" ? "127.0.0.1" : host) + ':' + std::to_string(port);
    return '[' + std::string(text) + "]:" + std::to_string(port);
}

bool Place::includes(const Place& other) const {
    const auto mine = canonical(), its = other.canonical();
    if (mine == its) return true;
    if (unix_socket || other.unix_socket || port != other.port) return false;
    return mine.starts_with("[::]:") || (mine.starts_with("0.0.0.0:") && !its.starts_with('['));
}

bool Place::named() const {
    return !unix_socket && !host.empty() && !is_numeric(AF_INET, host) && !is_numeric(AF_INET6, host);
}

bool Place::loopback() const {
    return unix_socket || host == "localhost" || host == "::1" ||
           (host.starts_with("127.") && is_numeric(AF_INET, host));
}

std::optional<Place> parse_place(std::string_view text, std::string& why_not) {
    if (text.starts_with("unix:")) return unix_place(text.substr(5), why_not);
    if (text.starts_with('/')) return unix_place(text, why_not);
    if (text.starts_with("tcp:")) return tcp_place(text.substr(4), why_not);
    if (text.find("://") != std::string_view::npos) {
        why_not = "an address has no scheme: write HOST:PORT, [IPV6]:PORT or unix:/path";
        return {};
    }
    return tcp_place(text, why_not);
}

std::string place_problem(std::string_view text) {
    std::string why_not;
    if (parse_place(text, why_not)) return {};
    return "'" + std::string(text) + "' is no address: " + why_not;
}

bool is_network(std::string_view text) {
    auto slash = text.find('/');
    auto address = text.substr(0, slash);
    unsigned widest = is_numeric(AF_INET, address) ? 32 : is_numeric(AF_INET6, address) ? 128 : 0;
    if (widest == 0 || slash == std::string_view::npos) return widest != 0;
    auto bits = text.substr(slash + 1);
    unsigned length = 0;
    auto [end, error] = std::from_chars(bits.data(), bits.data() + bits.size(), length);
    return error == std::errc{} && end == bits.data() + bits.size() && length <= widest;
}

} // namespace plimsoll::config
