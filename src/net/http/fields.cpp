#include "net/http/fields.hpp"

#include "net/http/chars.hpp"

namespace plimsoll::http {

std::optional<std::uint64_t> parse_decimal(std::string_view text) {
    constexpr std::uint64_t most = (std::uint64_t{1} << 63) - 1;
    constexpr std::size_t safe_digits = 18; // so many fit, whatever they are
    if (text.empty()) return {};
    std::uint64_t number = 0;
    for (char c : text) {
        if (!is(digit_char, c)) return {};
        const auto digit = static_cast<std::uint64_t>(c - '0');
        if (text.size() > safe_digits && number > (most - digit) / 10) return {};
        number = number * 10 + digit;
    }
    return number;
}

std::optional<std::chrono::nanoseconds> parse_seconds(std::string_view text) {
    constexpr std::uint64_t most = 86'400, nanoseconds_a_second = 1'000'000'000;
    const auto dot = text.find('.');
    const auto whole = parse_decimal(text.substr(0, dot));
    if (!whole) return {};
    if (*whole >= most) return std::chrono::seconds{most};
    auto count = *whole * nanoseconds_a_second;
    if (dot == std::string_view::npos) return std::chrono::nanoseconds{count};
    auto fraction = text.substr(dot + 1);
    if (fraction.empty()) return {};
    std::uint64_t unit = nanoseconds_a_second;
    for (char c : fraction) {
        if (!is(digit_char, c)) return {};
        unit /= 10; // 0 beyond the ninth digit
        count += static_cast<std::uint64_t>(c - '0') * unit;
    }
    return std::chrono::nanoseconds{count};
}

bool iequals(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (lower(a[i]) != lower(b[i])) return false;
    return true;
}

std::size_t ihash(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(lower(c))) * 0x100000001b3;
    return hash;
}

const Field* FieldTable::find(FieldName id) const {
    for (const Field& field : *this)
        if (field.id == id) return &field;
    return nullptr;
}

const Field* FieldTable::find(std::string_view name) const {
    for (const Field& field : *this)
        if (iequals(field.name, name)) return &field;
    return nullptr;
}

std::string_view FieldTable::value(std::string_view name) const {
    const Field* field = find(name);
    return field ? field->value : std::string_view{};
}

bool next_member(std::string_view& list, std::string_view& member) {
    while (!list.empty()) {
        const std::size_t comma = list.find(',');
        member = list.substr(0, comma);
        list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
        while (!member.empty() && (member.front() == ' ' || member.front() == '\t')) member.remove_prefix(1);
        while (!member.empty() && (member.back() == ' ' || member.back() == '\t')) member.remove_suffix(1);
        if (!member.empty()) return true;
    }
    return false;
}

bool has_member(std::string_view list, std::string_view member) {
    for (std::string_view each; next_member(list, each);)
        if (iequals(each, member)) return true;
    return false;
}

std::string connection_options(const FieldTable& fields) {
    std::string options;
    for (const Field& field : fields)
        if (field.id == FieldName::connection) options.append(field.value).append(",");
    return options;
}

} // namespace plimsoll::http
