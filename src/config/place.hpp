// The syntax of addresses and networks, as the configuration checks it. The net layer parses the same forms again for
// its own use: configuration must not depend on it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace plimsoll::config {

struct Place {
    bool unix_socket = false;
    std::string host;                        // empty: all interfaces
    std::uint16_t port = 0;                  // 0: any free one
    std::string path;                        // of a unix socket
    std::string canonical() const;           // of two that mean the same address, the same
    bool includes(const Place& other) const; // it is all interfaces, or the same
    bool named() const;                      // only a resolver knows where it is
    bool loopback() const;                   // reachable from this machine alone; unix sockets count
    friend bool operator==(const Place&, const Place&) = default;
};
// "127.0.0.1:80", "[::1]:80", "tcp:host:80", ":8080", "unix:/run/a.sock", "/run/a.sock". Where it is none of these,
// why_not says what is wrong and what would be right.
std::optional<Place> parse_place(std::string_view text, std::string& why_not);

// Empty: an address. Else the whole sentence: "'127.0.0.1' is no address: the port is missing: ..."
std::string place_problem(std::string_view text);

bool is_network(std::string_view text); // "10.0.0.0/8", "fd00::/8", "192.0.2.7"

} // namespace plimsoll::config
