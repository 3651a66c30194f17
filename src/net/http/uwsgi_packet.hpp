// A request as uwsgi packet: 4 bytes of header (modifier1 0, size as 16 bits little-endian, modifier2 0), then names
// and values, each after its length in 16 bits. The body follows as it is, so it must have a known length: uwsgi knows
// no chunks.
//
// Variables are WSGI's (PEP 3333). The same rules as for HTTP workers decide which fields of the client's come through
// (head_writer.hpp); here they matter most, since HTTP_X_REAL_IP may stem from X-Real-IP and from X_Real_IP alike.
// Repeated fields are joined by ", " (Cookie by "; "): a dictionary would keep one of them, and not the same one in
// every server.
//
// SERVER_NAME and SERVER_PORT are what the client asked for, not what we listen on: an application builds links with them, and
// compares origins (Django's get_port(), say).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "net/http/head_writer.hpp"

namespace plimsoll::http {

struct UwsgiRequest {
    std::uint64_t content_length = 0; // of the body that follows; 0: none, and no CONTENT_LENGTH
    std::string_view path;            // in the place of the head's, where not empty
    std::string_view client;          // REMOTE_ADDR: TrustedProxies::client()
    std::uint16_t client_port = 0;    // REMOTE_PORT; 0: not told
};

inline constexpr std::size_t uwsgi_packet_header = 4; // bytes, which no size counts
inline constexpr std::size_t max_uwsgi_packet = uwsgi_packet_header + 65535;

// The length, or 0 where it does not fit into `out` or into 64 KiB: 431.
std::size_t write_uwsgi_packet(const RequestHead& head, const Forwarding& about, const UwsgiRequest& how,
                               std::span<char> out);

} // namespace plimsoll::http
