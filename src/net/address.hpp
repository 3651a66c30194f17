// Where to connect or listen: TCP host and port, or the path of a unix socket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <sys/socket.h>

namespace plimsoll::net {

struct Address {
    enum class Family : std::uint8_t { tcp, unix_socket } family = Family::tcp;
    std::string host; // tcp: a numeric address or a name
    std::uint16_t port = 0;
    std::string path; // unix
    friend bool operator==(const Address&, const Address&) = default;
};
// "127.0.0.1:80", "[::1]:80", "tcp:host:80", ":8080" (all interfaces), "unix:/run/a.sock", "/run/a.sock".
std::optional<Address> parse_address(std::string_view text);
std::string to_string(const Address& address);          // "127.0.0.1:80", "unix:/run/a.sock"
bool is_loopback(const Address& address);               // unix sockets count
bool overlap(const Address& one, const Address& other); // one socket takes clients that the other would; numeric hosts
bool is_name(const Address& address);                   // only a resolver knows where it is

// For connect(2) and bind(2). False where the host is a name or the path is too long (107 bytes).
bool to_sockaddr(const Address& address, sockaddr_storage& storage, socklen_t& length);

} // namespace plimsoll::net
