#include "net/http/start_line.hpp"

#include "net/http/chars.hpp"
#include "net/http/words.hpp"

namespace plimsoll::http {
namespace {

constexpr Refusal bad_line = {400, "bad_request_line",
                              "the request line must be a method, a target and HTTP/1.1, with one "
                              "space between them and CR LF behind"};
constexpr Refusal bad_target_char = {400, "bad_target", "the request target holds a byte that must be percent-encoded"};
constexpr Refusal long_method = {501, "unknown_method", "no method has a name of that length"};
constexpr Refusal no_tunnels = {501, "connect", "this is a reverse proxy: CONNECT is not served"};
constexpr Refusal long_target = {414, "target_too_long", "the request target is longer than this proxy accepts"};
constexpr Refusal bad_version = {505, "bad_version", "only HTTP/1.1 and HTTP/1.0 are spoken here"};
constexpr Refusal bad_status_line = {502, "bad_response", "the worker's status line is malformed"};

constexpr std::size_t max_method = 32;
constexpr std::size_t max_reason = 512;

constexpr StartLine need_more = {Parsed::State::need_more, 0, {}};
StartLine refused(const Refusal& refusal) { return {Parsed::State::error, 0, refusal}; }

struct KnownMethod {
    std::string_view text;
    Method method;
};
Method method_of(std::string_view text) {
    constexpr KnownMethod known[] = {{"GET", Method::get},         {"POST", Method::post},  {"HEAD", Method::head},
                                     {"PUT", Method::put},         {"DELETE", Method::del}, {"PATCH", Method::patch},
                                     {"OPTIONS", Method::options}, {"TRACE", Method::trace}};
    for (const KnownMethod& each : known)
        if (text == each.text) return each.method;
    return Method::other;
}

enum class Version { need_more, ok, malformed, unsupported };

// "HTTP/1.x" at the front of `text`; any digit as x, and more than 1 counts as 1 (RFC 9110, 2.5).
Version scan_version(std::string_view text, std::uint8_t& minor) {
    constexpr std::string_view pattern = "HTTP/1.";
    if (text.starts_with("HTTP/1.1")) { // nearly always
        minor = 1;
        return Version::ok;
    }
    for (std::size_t i = 0; i <= pattern.size(); ++i) {
        if (i == text.size()) return Version::need_more;
        const char c = text[i];
        if (i == pattern.size()) {
            if (!is(digit_char, c)) return Version::malformed;
            minor = c == '0' ? 0 : 1;
        } else if (c != pattern[i]) {
            return i == pattern.find('1') && is(digit_char, c) ? Version::unsupported : Version::malformed;
        }
    }
    return Version::ok;
}
constexpr std::size_t version_size = 8;

std::size_t target_size(std::string_view bytes) {
    const char* const end = bytes.data() + bytes.size();
    const char* at = words::skip(bytes.data(), end, [](auto word) {
        return words::within(word, 0x21, 0x7e) & ~words::within(word, '"', '#') & ~words::is(word, '<') &
               ~words::is(word, '>');
    });
    while (at != end && is(target_char, *at)) ++at;
    return static_cast<std::size_t>(at - bytes.data());
}

} // namespace

StartLine scan_request_line(std::string_view bytes, std::size_t max_target, RequestHead& head) {
    std::size_t at = 0;
    for (;; ++at) {
        if (at == bytes.size()) return need_more;
        if (!is(token_char, bytes[at])) break;
        if (at == max_method) return refused(long_method);
    }
    if (bytes[at] != ' ' || at == 0) return refused(bad_line);
    head.method_text = bytes.substr(0, at);
    head.method = method_of(head.method_text);
    if (head.method_text == "CONNECT") return refused(no_tunnels);

    const std::size_t target = ++at;
    at = target + target_size(bytes.substr(target, max_target));
    if (at == bytes.size()) return need_more;
    if (at - target == max_target && is(target_char, bytes[at])) return refused(long_target);
    if (at == target) return refused(bad_line);
    if (bytes[at] != ' ') return refused(bytes[at] == '\r' || bytes[at] == '\n' ? bad_line : bad_target_char);
    head.target = bytes.substr(target, at - target);

    const std::string_view rest = bytes.substr(at + 1);
    switch (scan_version(rest, head.minor)) {
    case Version::need_more: return need_more;
    case Version::malformed: return refused(bad_line);
    case Version::unsupported: return refused(bad_version);
    case Version::ok: break;
    }
    constexpr std::string_view line_end = "\r\n";
    for (std::size_t i = 0; i < line_end.size(); ++i) {
        if (version_size + i == rest.size()) return need_more;
        if (rest[version_size + i] != line_end[i]) return refused(bad_line);
    }
    return {Parsed::State::complete, at + 1 + version_size + line_end.size(), {}};
}

StartLine scan_status_line(std::string_view bytes, ResponseHead& head) {
    switch (scan_version(bytes, head.minor)) {
    case Version::need_more: return need_more;
    case Version::malformed:
    case Version::unsupported: return refused(bad_status_line);
    case Version::ok: break;
    }
    std::size_t at = version_size;
    unsigned status = 0;
    for (; at < version_size + 4; ++at) { // SP and three digits
        if (at == bytes.size()) return need_more;
        const char c = bytes[at];
        if (at == version_size ? c != ' ' : !is(digit_char, c)) return refused(bad_status_line);
        if (at > version_size) status = status * 10 + static_cast<unsigned>(c - '0');
    }
    if (status < 100 || status > 599) return refused(bad_status_line);
    head.status = static_cast<unsigned short>(status);

    // The space after the status is asked for even without a reason, but servers are known to forget it.
    if (at == bytes.size()) return need_more;
    if (bytes[at] == ' ')
        ++at;
    else if (bytes[at] != '\r')
        return refused(bad_status_line);
    const std::size_t reason = at;
    for (;; ++at) {
        if (at == bytes.size()) return need_more;
        const auto c = static_cast<unsigned char>(bytes[at]);
        if ((c < ' ' && c != '\t') || c == 0x7f || at - reason > max_reason) break;
    }
    if (bytes[at] != '\r') return refused(bad_status_line);
    head.reason = bytes.substr(reason, at - reason);
    if (++at == bytes.size()) return need_more;
    if (bytes[at] != '\n') return refused(bad_status_line);
    return {Parsed::State::complete, at + 1, {}};
}

} // namespace plimsoll::http
