#include "net/address.hpp"

#include <charconv>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

namespace plimsoll::net {

namespace {

bool starts_with(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

std::optional<std::uint16_t> parse_port(std::string_view text) {
    unsigned port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size() || port > 65535) return std::nullopt;
    return static_cast<std::uint16_t>(port);
}

bool is_host(std::string_view host) {
    if (host.size() > 253) return false;
    for (const char c : host) {
        const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                          c == '-' || c == '_';
        if (!fine) return false;
    }
    return true;
}

std::optional<Address> parse_unix(std::string_view path) {
    if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path) || path.find('\0') != std::string_view::npos)
        return std::nullopt;
    Address address;
    address.family = Address::Family::unix_socket;
    address.path = path;
    return address;
}

} // namespace

std::optional<Address> parse_address(std::string_view text) {
    if (starts_with(text, "unix:")) return parse_unix(text.substr(5));
    if (starts_with(text, "/") || starts_with(text, "./")) return parse_unix(text);
    if (starts_with(text, "tcp:")) text.remove_prefix(4);

    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const auto port = parse_port(text.substr(colon + 1));
    if (!port) return std::nullopt;
    std::string_view host = text.substr(0, colon);
    Address address;
    address.port = *port;
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
        address.host = host.substr(1, host.size() - 2);
        in6_addr parsed{};
        if (inet_pton(AF_INET6, address.host.c_str(), &parsed) != 1) return std::nullopt;
        return address;
    }
    if (!is_host(host)) return std::nullopt;
    address.host = host.empty() ? "0.0.0.0" : std::string(host);
    return address;
}

std::string to_string(const Address& address) {
    if (address.family == Address::Family::unix_socket) return "unix:" + address.path;
    const std::string port = std::to_string(address.port);
    if (address.host.find(':') != std::string::npos) return "[" + address.host + "]:" + port;
    return address.host + ":" + port;
}

bool is_loopback(const Address& address) {
    if (address.family == Address::Family::unix_socket || address.host == "localhost" || address.host == "::1")
        return true;
    in_addr parsed{};
    return inet_pton(AF_INET, address.host.c_str(), &parsed) == 1 && (ntohl(parsed.s_addr) >> 24) == 127;
}

bool overlap(const Address& one, const Address& other) {
    if (one.family != Address::Family::tcp || other.family != Address::Family::tcp || one.port != other.port)
        return false;
    sockaddr_storage first{}, second{};
    socklen_t length = 0;
    if (!to_sockaddr(one, first, length) || !to_sockaddr(other, second, length)) return false;
    if (std::memcmp(&first, &second, sizeof first) == 0) return true;
    const auto everywhere = [](const sockaddr_storage& place, sa_family_t family) {
        if (place.ss_family != AF_INET6)
            return family == AF_INET && reinterpret_cast<const sockaddr_in&>(place).sin_addr.s_addr == INADDR_ANY;
        return IN6_IS_ADDR_UNSPECIFIED(&reinterpret_cast<const sockaddr_in6&>(place).sin6_addr) !=
               0; // of both families
    };
    return everywhere(first, second.ss_family) || everywhere(second, first.ss_family);
}

bool is_name(const Address& address) {
    sockaddr_storage storage{};
    socklen_t length = 0;
    return address.family == Address::Family::tcp && !to_sockaddr(address, storage, length);
}

bool to_sockaddr(const Address& address, sockaddr_storage& storage, socklen_t& length) {
    std::memset(&storage, 0, sizeof storage);
    if (address.family == Address::Family::unix_socket) {
        sockaddr_un un{};
        if (address.path.empty() || address.path.size() >= sizeof un.sun_path) return false;
        un.sun_family = AF_UNIX;
        std::memcpy(un.sun_path, address.path.data(), address.path.size());
        std::memcpy(&storage, &un, sizeof un);
        length = sizeof un;
        return true;
    }
    sockaddr_in in{};
    if (inet_pton(AF_INET, address.host.c_str(), &in.sin_addr) == 1) {
        in.sin_family = AF_INET;
        in.sin_port = htons(address.port);
        std::memcpy(&storage, &in, sizeof in);
        length = sizeof in;
        return true;
    }
    sockaddr_in6 in6{};
    if (inet_pton(AF_INET6, address.host.c_str(), &in6.sin6_addr) == 1) {
        in6.sin6_family = AF_INET6;
        in6.sin6_port = htons(address.port);
        std::memcpy(&storage, &in6, sizeof in6);
        length = sizeof in6;
        return true;
    }
    return false;
}

} // namespace plimsoll::net
