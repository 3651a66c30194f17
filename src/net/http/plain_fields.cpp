#include "net/http/plain_fields.hpp"

#include <cstdint>
#include <utility>

#include "net/http/chars.hpp"
#include "net/http/field_names.hpp"
#include "net/http/words.hpp"

namespace plimsoll::http {
namespace {

constexpr std::size_t safe_digits = 18; // of a length that cannot overflow

constexpr unsigned first_printable = 0x20, last_printable = 0x7e;

// The colon behind a name; null: it is no name, or not all of it is here.
const char* find_colon(const char* const name, const char* end, unsigned& classes) {
    const char* at = words::skip(name, end, [](auto word) {
        return words::within(words::lower_case(word), 'a', 'z') | words::within(word, '0', '9') | words::is(word, '-');
    });
    for (; at != end; ++at) {
        if (*at == ':') return at == name ? nullptr : at;
        const unsigned of_this = classes_of(*at);
        if ((of_this & token_char) == 0) return nullptr;
        classes |= of_this;
    }
    return nullptr;
}

const char* skip_value(const char* at, const char* end) {
    at = words::skip(at, end, [](auto word) { return words::within(word, first_printable, last_printable); });
    while (at != end && *at >= char{first_printable} && *at <= char{last_printable}) ++at;
    return at;
}

// One comparison for most fields: those names stand together.
constexpr bool is_about_connection(FieldName id) { return id >= FieldName::content_length && id <= FieldName::upgrade; }

bool is_plain_about_connection(FieldName id, std::string_view value, bool& framed) {
    switch (id) {
    case FieldName::content_length:
        return !std::exchange(framed, true) && !value.empty() && value.size() <= safe_digits &&
               all_are(digit_char, value);
    case FieldName::transfer_encoding: return !std::exchange(framed, true) && iequals(value, "chunked");
    case FieldName::connection: return iequals(value, "keep-alive") || iequals(value, "close");
    case FieldName::proxy_connection:
    case FieldName::upgrade: return false;
    default: return true;
    }
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
        at = find_colon(name, end, classes);
        if (!at) return 0;
        const std::string_view token(name, static_cast<std::size_t>(at - name));
        const char* from = at + 1;
        while (from != end && *from == ' ') ++from;
        const bool one_space = from == at + 2;
        at = skip_value(from, end);
        if (end - at < 2 || at[0] != '\r' || at[1] != '\n') return 0;
        const char* to = at;
        while (to != from && to[-1] == ' ') --to;
        const bool plain = one_space && to == at;
        at += 2;

        const auto id = (classes & underscore) != 0 ? FieldName::ambiguous : field_name_with_dashes(token);
        const std::string_view value(from, static_cast<std::size_t>(to - from));
        if (is_about_connection(id) && !is_plain_about_connection(id, value, framed)) return 0;
        if (fields.size() >= max_fields || !fields.add(token, value, id, plain)) return 0;
    }
    return end - at >= 2 && at[1] == '\n' ? static_cast<std::size_t>(at + 2 - bytes.data()) : 0;
}

} // namespace plimsoll::http
