#include "net/http/plain_fields.hpp"

#include <cstdint>

#include "net/http/chars.hpp"
#include "net/http/field_names.hpp"
#include "net/http/words.hpp"

namespace plimsoll::http {
namespace {

constexpr std::size_t safe_digits = 18; // of a length that cannot overflow

constexpr unsigned first_printable = 0x20, last_printable = 0x7e;

const char* skip_name(const char* at, const char* end, unsigned& classes) {
    at = words::skip(at, end, [](auto word) {
        return words::within(words::lower_case(word), 'a', 'z') | words::within(word, '0', '9') | words::is(word, '-');
    });
    for (unsigned of_this; at != end && ((of_this = classes_of(*at)) & token_char) != 0; ++at) classes |= of_this;
    return at;
}

const char* skip_value(const char* at, const char* end) {
    at = words::skip(at, end, [](auto word) { return words::within(word, first_printable, last_printable); });
    while (at != end && *at >= char{first_printable} && *at <= char{last_printable}) ++at;
    return at;
}

bool is_plain_framing(FieldName id, std::string_view value) {
    if (id == FieldName::transfer_encoding) return iequals(value, "chunked");
    return !value.empty() && value.size() <= safe_digits && all_are(digit_char, value);
}

} // namespace

std::size_t scan_plain_fields(std::string_view bytes, unsigned max_fields, FieldTable& fields) {
    fields.clear();
    bool framed = false;
    const char* at = bytes.data();
    const char* const end = at + bytes.size();
    while (end - at >= 2 && *at != '\r') {
        const char* const name = at;
        unsigned classes = 0;
        at = skip_name(at, end, classes);
        if (at == end || *at != ':' || at == name) return 0;
        const std::string_view token(name, static_cast<std::size_t>(at - name));
        ++at;
        while (at != end && *at == ' ') ++at;
        const char* const from = at;
        at = skip_value(at, end);
        if (end - at < 2 || at[0] != '\r' || at[1] != '\n') return 0;
        const char* to = at;
        while (to != from && to[-1] == ' ') --to;
        at += 2;

        const auto id = (classes & underscore) != 0 ? FieldName::ambiguous : field_name_with_dashes(token);
        const Field field{token, {from, static_cast<std::size_t>(to - from)}, id};
        switch (field.id) {
        case FieldName::content_length:
        case FieldName::transfer_encoding:
            if (framed || !is_plain_framing(field.id, field.value)) return 0;
            framed = true;
            break;
        case FieldName::connection:
            if (!iequals(field.value, "keep-alive") && !iequals(field.value, "close")) return 0;
            break;
        case FieldName::proxy_connection:
        case FieldName::upgrade: return 0;
        default: break;
        }
        if (fields.size() >= max_fields || !fields.add(field)) return 0;
    }
    return end - at >= 2 && at[1] == '\n' ? static_cast<std::size_t>(at + 2 - bytes.data()) : 0;
}

} // namespace plimsoll::http
