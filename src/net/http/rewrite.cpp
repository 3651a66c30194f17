#include "net/http/rewrite.hpp"

#include "net/http/chars.hpp"
#include "net/http/target.hpp"

namespace plimsoll::http {
namespace {

// Whether an application, or a browser that it sends there, reads the same path in it as we do.
bool is_harmless(std::string_view rest) {
    std::string decoded(rest.size(), '\0');
    decoded.resize(decode_escapes(rest, decoded.data()));
    if (decoded.starts_with("//") || decoded.starts_with("/\\")) return false;
    for (std::string_view left = decoded; !left.empty();) {
        const auto slash = left.find('/');
        const auto segment = left.substr(0, slash);
        if (segment == "." || segment == "..") return false;
        left.remove_prefix(slash == std::string_view::npos ? left.size() : slash + 1);
    }
    return true;
}

void append_escaped(std::string& out, std::string_view path) {
    constexpr std::string_view hex = "0123456789ABCDEF", fine = "/-._~!$&'()*+,;=:@";
    for (const char c : path) {
        const auto byte = static_cast<unsigned char>(c);
        const bool letter = (lower(c) >= 'a' && lower(c) <= 'z') || is(digit_char, c);
        if (letter || fine.find(c) != std::string_view::npos)
            out += c;
        else
            (out += '%').append({hex[byte >> 4], hex[byte & 15]});
    }
}

} // namespace

std::string escaped_path(std::string_view resolved) {
    std::string out;
    append_escaped(out, resolved);
    return out;
}

std::string rewritten_path(std::string_view path, std::string_view resolved, std::string_view strip,
                           std::string_view put) {
    std::string out(put);
    if (is_under(path, strip) && is_harmless(path.substr(strip.size())))
        out += path.substr(strip.size());
    else if (is_under(resolved, strip))
        append_escaped(out, resolved.substr(strip.size()));
    else
        return {};
    if (out.empty()) out.assign(1, '/');
    return out;
}

} // namespace plimsoll::http
