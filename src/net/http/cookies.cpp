#include "net/http/cookies.hpp"

#include <algorithm>

namespace plimsoll::http {
namespace {

// Names and values are of visible ASCII (RFC 6265, 4.1.1). What an application takes for a blank depends on how it decodes: A0 is one
// to some, C2 A0 or E2 80 83 to others. So all else is one: no two texts that an application takes for the same are two here.
bool is_blank(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte <= ' ' || byte >= 0x7f;
}

std::string_view stripped(std::string_view text) {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

bool is_escaped_byte(std::string_view digits) {
    const auto octal = [](char c) { return c >= '0' && c <= '7'; };
    return digits.size() == 3 && digits[0] <= '3' && std::ranges::all_of(digits, octal);
}

} // namespace

// http.cookies ends a pair at a blank as well, so whatever stands behind one may be a name.
std::vector<std::string_view> cookies_named(const FieldTable& fields, std::string_view name) {
    std::vector<std::string_view> found;
    for (const Field& field : fields) { // a client may spread them over several
        if (field.id != FieldName::cookie) continue;
        const auto pairs = field.value;
        for (auto at = pairs.find(name); at != std::string_view::npos; at = pairs.find(name, at + 1)) {
            if (at > 0 && pairs[at - 1] != ';' && !is_blank(pairs[at - 1])) continue; // the end of another name
            const auto rest = pairs.substr(at + name.size());
            const auto value = stripped(rest.substr(0, rest.find(';')));
            if (value.starts_with('=')) found.push_back(stripped(value.substr(1)));
        }
    }
    return found;
}

std::optional<std::string> cookie_value(std::string_view text) {
    if (!text.starts_with('"')) {
        if (text.find_first_of(" \t") != std::string_view::npos) return {};
        return std::string(text);
    }
    std::string value;
    for (std::size_t at = 1; at < text.size(); ++at) {
        if (text[at] == '"') return at + 1 == text.size() ? std::optional(std::move(value)) : std::nullopt;
        const bool escaped = text[at] == '\\';
        if (escaped && ++at == text.size()) break;
        const auto digits = text.substr(at, 3);
        if (escaped && is_escaped_byte(digits)) {
            value += static_cast<char>((digits[0] - '0') << 6 | (digits[1] - '0') << 3 | (digits[2] - '0'));
            at += 2;
        } else {
            value += text[at];
        }
    }
    return {}; // the quotes do not end
}

} // namespace plimsoll::http
