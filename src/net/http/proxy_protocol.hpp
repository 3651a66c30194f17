// The PROXY protocol, versions 1 and 2: what a load balancer sends ahead of a client's bytes to tell whose they are.
//
//   v1   "PROXY TCP4 192.0.2.1 192.0.2.9 51000 443\r\n"                                            at most 107 bytes
//   v2   \r\n\r\n\0\r\nQUIT\n | version, command | family | length (16 bits) | addresses, TLVs      at most 4 KiB
//
// (Willy Tarreau, "The PROXY protocol", versions 1 and 2.) A listener either demands the header or does not know it: guessing
// would let any client claim to be another one. TLVs are passed over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace plimsoll::http {

inline constexpr std::size_t longest_proxy_v1 = 107, longest_proxy_v2 = 4096;

struct ProxyHeader {
    enum class State { need_more, complete, error } state = State::need_more;
    enum class Source {
        client, // `address` is the client's
        sender, // LOCAL: the load balancer speaks for itself, to see whether we live
        untold, // UNKNOWN, a unix socket: somebody behind the load balancer, and nobody knows who
    } source = Source::untold;
    std::string address;
    std::uint16_t port = 0; // of `client`
    std::size_t size = 0;   // complete: bytes that it took
};

// `bytes` is all that came so far; an error is told at the earliest byte, and never depends on how they were cut.
ProxyHeader parse_proxy_header(std::string_view bytes);

} // namespace plimsoll::http
