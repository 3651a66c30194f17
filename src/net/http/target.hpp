// Request targets and authorities (RFC 9112, 3.2; RFC 3986), and the path to route by.
//
// A path is refused where two readers could see two paths in it: broken escapes, %00, overlong UTF-8. Characters that
// RFC 3986 forbids but browsers send raw ("|", "{", "^" ...) pass; those that none sends raw (" < > #, and \ in a path)
// don't.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "net/http/head.hpp"

namespace plimsoll::http {

// Splits and checks head.target into form, path, query, and authority where the target has one.
Refusal split_target(RequestHead& head);

// "host", "host:port", "[::1]:80": the host alone; empty for an invalid one (and for an empty one: nobody can be routed
// by it).
std::string_view host_of(std::string_view authority);

// The path that an application will see: escapes decoded, "." and ".." resolved. Routing by anything else can be
// fooled ("/public/..%2fadmin" ends in /admin in many frameworks). A plain path comes back as it is, without a copy;
// else it is written into `scratch`, which must be as long as the path. Empty: it climbs above the root.
std::string_view routing_path(std::string_view path, std::span<char> scratch);

// "/app" holds "/app" and "/app/x", not "/apple".
inline bool is_under(std::string_view path, std::string_view prefix) {
    return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

// %XX decoded into `out`, which must hold decoded_size(text), at most the length of `text`; returns the number of bytes.
std::size_t decode_escapes(std::string_view text, char* out);
std::size_t decoded_size(std::string_view text);

// Where an application may be told that it is mounted, as "/app" or "/a%20b/c": it begins its links with that. "//host" and
// "/\\host" would lead elsewhere, dots and escaped slashes to other places than they say, line ends into the next field.
bool is_mount_path(std::string_view text);

// Other readings of a decoded path than routing_path()'s. What is left of it for who merges slashes and passes over ".", and yet
// leaves ".." as it is; and for who resolves dots by the letter (RFC 3986, 5.2.4): the ".." of "/a//../b" takes an empty segment.
void drop_empty_segments(std::string& path);
void remove_dot_segments(std::string& path);
// For who resolves dots before decoding, as URL parsers of browsers do: "%2e" is a dot to them, and "%2f" is no slash.
void decode_dots(std::string& path);

} // namespace plimsoll::http
