#include "net/http/target.hpp"

#include <algorithm>
#include <cstring>

#include <arpa/inet.h>

#include "net/http/chars.hpp"
#include "net/http/words.hpp"

namespace plimsoll::http {
namespace {

constexpr Refusal bad_target = {400, "bad_target", "the request target is not a valid path, URI or '*'"};
constexpr Refusal bad_path = {400, "bad_path", "the path holds a backslash, a broken escape, %00 or overlong UTF-8"};
constexpr Refusal bad_authority = {400, "bad_target",
                                   "the host in the request target is not valid, or comes with a user name"};

bool is_escape(std::string_view text, std::size_t at) {
    return at + 2 < text.size() && text[at] == '%' && is(hex_char, text[at + 1]) && is(hex_char, text[at + 2]);
}
unsigned escape_value(std::string_view text, std::size_t at) {
    return hex_value(text[at + 1]) << 4 | hex_value(text[at + 2]);
}

// The byte after a lead byte for which a shorter sequence would have done (RFC 3629, 3): "/" as %c0%af, and so on.
bool is_overlong(unsigned lead, unsigned next) {
    const bool continuation = (next & 0xc0) == 0x80;
    if (lead == 0xc0 || lead == 0xc1) return continuation;
    if (lead == 0xe0) return continuation && next < 0xa0;
    if (lead == 0xf0) return continuation && next < 0x90;
    // Of five and six bytes: gone from UTF-8, not from all decoders.
    if (lead == 0xf8) return continuation && next < 0x88;
    if (lead == 0xfc) return continuation && next < 0x84;
    return false;
}

bool is_unambiguous(std::string_view path) {
    const char* const plain = words::skip(path.data(), path.data() + path.size(),
                                          [](auto word) { return ~(words::is(word, '\\') | words::is(word, '%')); });
    for (auto i = static_cast<std::size_t>(plain - path.data()); i < path.size(); ++i) {
        if (path[i] == '\\') return false;
        if (path[i] != '%') continue;
        if (!is_escape(path, i)) return false;
        const unsigned byte = escape_value(path, i);
        if (byte == 0) return false;
        i += 2;
        if (byte >= 0xc0 && is_escape(path, i + 1) && is_overlong(byte, escape_value(path, i + 1))) return false;
    }
    return true;
}

bool is_ipv6(std::string_view text) {
    char terminated[INET6_ADDRSTRLEN];
    in6_addr ignored;
    if (text.size() >= sizeof terminated) return false;
    terminated[text.copy(terminated, text.size())] = '\0';
    return inet_pton(AF_INET6, terminated, &ignored) == 1;
}

// "v" hex digits "." and what a name may hold, or colons (RFC 3986, 3.2.2).
bool is_future_address(std::string_view text) {
    const std::size_t dot = text.find('.');
    if (dot == std::string_view::npos || dot < 2 || lower(text[0]) != 'v') return false;
    const std::string_view version = text.substr(1, dot - 1), address = text.substr(dot + 1);
    if (!all_are(hex_char, version) || address.empty()) return false;
    return std::all_of(address.begin(), address.end(), [](char c) { return c == ':' || is(host_char, c); });
}

bool is_uri_port(std::string_view text) { // may be empty (RFC 3986, 3.2.3)
    unsigned port = 0;
    if (text.size() > 5 || !all_are(digit_char, text)) return false;
    for (char c : text) port = port * 10 + static_cast<unsigned>(c - '0');
    return port <= 65535;
}

// No escapes, no empty segments, none that begin with a dot.
bool is_resolved(std::string_view path) {
    for (std::size_t i = 0; i < path.size(); ++i) {
        const char c = path[i];
        if (c > '/') continue; // nearly all; "%./" are not
        if (c == '%' || (i > 0 && path[i - 1] == '/' && (c == '/' || c == '.'))) return false;
    }
    return true;
}

} // namespace

std::string_view host_of(std::string_view authority) {
    std::string_view host, rest;
    if (authority.starts_with('[')) {
        const std::size_t close = authority.find(']');
        if (close == std::string_view::npos) return {};
        const std::string_view literal = authority.substr(1, close - 1);
        if (!is_ipv6(literal) && !is_future_address(literal)) return {};
        host = authority.substr(0, close + 1);
        rest = authority.substr(close + 1);
    } else {
        const std::size_t colon = authority.find(':');
        host = authority.substr(0, colon);
        if (colon != std::string_view::npos) rest = authority.substr(colon);
        if (!all_are(host_char, host)) return {};
        if (host.ends_with('.')) host.remove_suffix(1);
        if (host.starts_with('.') || host.ends_with('.')) return {};
    }
    if (!rest.empty() && (rest.front() != ':' || !is_uri_port(rest.substr(1)))) return {};
    return host;
}

Refusal split_target(RequestHead& head) {
    std::string_view rest = head.target;
    head.authority = head.host = {};
    if (rest.starts_with('/')) {
        head.form = TargetForm::origin;
    } else if (rest == "*") {
        head.form = TargetForm::asterisk;
        head.path = rest;
        head.query = {};
        return head.method == Method::options ? Refusal{} : bad_target;
    } else {
        head.form = TargetForm::absolute;
        const std::size_t colon = rest.find("://");
        if (colon == std::string_view::npos) return bad_target;
        const std::string_view scheme = rest.substr(0, colon);
        if (!iequals(scheme, "http") && !iequals(scheme, "https")) return bad_target;
        rest.remove_prefix(colon + 3);
        head.authority = rest.substr(0, rest.find_first_of("/?"));
        rest.remove_prefix(head.authority.size());
        head.host = host_of(head.authority);
        if (head.host.empty()) return bad_authority;
        if (head.authority.ends_with(':')) head.authority.remove_suffix(1);
    }
    const std::size_t mark = rest.find('?');
    head.path = rest.substr(0, mark);
    head.query = mark == std::string_view::npos ? std::string_view{} : rest.substr(mark);
    if (rest.empty() && head.method == Method::options) head.path = "*"; // of the last proxy (RFC 9112, 3.2.4)
    if (head.path.empty()) head.path = "/";                              // "http://host" and "http://host?query"
    return is_unambiguous(head.path) ? Refusal{} : bad_path;
}

std::size_t decoded_size(std::string_view text) {
    std::size_t size = 0;
    for (std::size_t i = 0; i < text.size(); ++i, ++size)
        if (is_escape(text, i)) i += 2;
    return size;
}

std::size_t decode_escapes(std::string_view text, char* out) {
    char* at = out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (is_escape(text, i)) {
            *at++ = static_cast<char>(escape_value(text, i));
            i += 2;
        } else {
            *at++ = text[i];
        }
    }
    return static_cast<std::size_t>(at - out);
}

void decode_dots(std::string& path) {
    std::size_t end = 0;
    for (std::size_t at = 0; at < path.size(); ++at) {
        const bool dot = is_escape(path, at) && escape_value(path, at) == '.';
        path[end++] = dot ? '.' : path[at];
        if (dot) at += 2;
    }
    path.resize(end);
}

void drop_empty_segments(std::string& path) {
    std::size_t end = 0;
    for (std::size_t at = 0; at < path.size();) { // each time at a slash
        const std::size_t next = std::min(path.find('/', at + 1), path.size());
        const auto segment = std::string_view(path).substr(at + 1, next - at - 1);
        const bool last = next == path.size();
        if (last || !(segment.empty() || segment == ".")) {
            std::memmove(path.data() + end, path.data() + at, next - at);
            end += next - at;
        }
        at = next;
    }
    path.resize(end);
}

void remove_dot_segments(std::string& path) {
    std::size_t end = 0; // of what is resolved
    for (std::size_t at = 0; at < path.size();) {
        const std::size_t next = std::min(path.find('/', at + 1), path.size());
        const std::string_view segment(path.data() + at, next - at); // with the slash before it
        const bool last = next == path.size();
        if (segment == "/..") end = end == 0 ? 0 : path.rfind('/', end - 1);
        if (segment == "/.." || segment == "/.") {
            if (last) path[end++] = '/';
        } else {
            std::memmove(path.data() + end, segment.data(), segment.size());
            end += segment.size();
        }
        at = next;
    }
    path.resize(end);
}

bool is_mount_path(std::string_view text) {
    std::string segment; // decoded
    const auto is_segment = [&] { return !segment.empty() && segment != "." && segment != ".."; };
    for (std::size_t i = 1; i < text.size(); ++i) {
        auto byte = static_cast<unsigned char>(text[i]);
        if (byte == '/') {
            if (!is_segment()) return false;
            segment.clear();
            continue;
        }
        if (byte == '%') {
            if (!is_escape(text, i)) return false;
            byte = static_cast<unsigned char>(escape_value(text, i));
            if (byte == '/') return false;
            i += 2;
        } else if (byte < 0x80 && (!is(target_char, text[i]) || byte == '?' || byte == ',')) {
            return false;
        }
        if (byte < ' ' || byte == 0x7f || byte == '\\') return false;
        segment += static_cast<char>(byte);
    }
    return text.starts_with('/') && is_segment();
}

std::string_view routing_path(std::string_view path, std::span<char> scratch) {
    if (is_resolved(path)) return path;
    if (scratch.size() < path.size()) return {};

    // Decoded in place; the result never overtakes what is still to be read. `end` is where the result's last segment
    // ends, always after a '/'.
    const std::string_view decoded(scratch.data(), decode_escapes(path, scratch.data()));
    if (!decoded.starts_with('/')) return path; // "*"
    char* const begin = scratch.data();
    std::size_t end = 1;
    for (std::size_t at = 1; at < decoded.size();) {
        const std::size_t slash = decoded.find('/', at);
        const bool last = slash == std::string_view::npos;
        const std::string_view segment = decoded.substr(at, last ? std::string_view::npos : slash - at);
        at += segment.size() + 1;
        if (segment.empty() || segment == ".") continue;
        if (segment == "..") {
            if (end == 1) return {};
            end = decoded.rfind('/', end - 2) + 1;
            continue;
        }
        std::memmove(begin + end, segment.data(), segment.size());
        end += segment.size();
        if (!last) begin[end++] = '/';
    }
    return {begin, end};
}

} // namespace plimsoll::http
