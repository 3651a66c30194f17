// Which peers are believed, and who the client is.
//
// X-Forwarded-For is read from the right, through addresses of trusted proxies; the first that is none is the client.
// What stands left of it was written by somebody nobody knows, so it decides nothing.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http/fields.hpp"

namespace plimsoll::http {

struct IpAddress { // IPv4 as ::ffff:a.b.c.d
    std::array<std::uint8_t, 16> bytes{};
    friend bool operator==(const IpAddress&, const IpAddress&) = default;
};
std::optional<IpAddress> parse_ip(std::string_view text); // "10.0.0.1", "::1", "[::1]", each with or without ":port"

// Whose request it is. The port is of the same end, 0 where nobody told it: of a client of whom only the address is passed on, the
// port that we see is its proxy's.
struct Client {
    std::string_view address; // as text; empty: a unix socket
    std::uint16_t port = 0;
};

class TrustedProxies {
public:
    // Addresses and networks ("10.0.0.0/8", "::1"), and "unix" for all peers on unix sockets. On a bad one: false, and
    // `problem` is the line that says which and how to mend it.
    bool parse(const std::vector<std::string>& list, std::string& problem);

    bool trusts(std::string_view peer) const; // the peer's address as text; empty: a unix socket
    bool empty() const { return networks_.empty() && !unix_; }

    // The peer itself unless it is trusted. A view into the peer's address or into the fields.
    Client client(const Client& peer, const FieldTable& fields) const;

private:
    struct Network {
        IpAddress address;
        unsigned bits; // of 128
    };
    std::vector<Network> networks_;
    bool unix_ = false;
};

} // namespace plimsoll::http
