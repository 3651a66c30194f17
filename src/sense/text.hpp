// How the kernel writes numbers: fields parted by blanks, one record a line. Foreign bytes: nothing here trusts its
// input.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>

namespace plimsoll::sense {

// Takes the next line off `rest`, without its newline. False at the end.
inline bool next_line(std::string_view& rest, std::string_view& line) {
    if (rest.empty()) return false;
    const auto end = rest.find('\n');
    line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return true;
}

// Takes the next blank-separated field off `rest`; empty at the end.
inline std::string_view next_field(std::string_view& rest) {
    const auto begin = rest.find_first_not_of(" \t\n");
    if (begin == std::string_view::npos) {
        rest = {};
        return {};
    }
    rest.remove_prefix(begin);
    const auto field = rest.substr(0, rest.find_first_of(" \t\n"));
    rest.remove_prefix(field.size());
    return field;
}

// The whole field or nothing: "12x" and "" are no numbers.
template <class Number>
std::optional<Number> to_number(std::string_view field) {
    Number value{};
    const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
    if (error != std::errc{} || end != field.data() + field.size()) return std::nullopt;
    return value;
}

} // namespace plimsoll::sense
