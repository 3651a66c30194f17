// Classes of characters (RFC 9110, 5.6; RFC 3986, 2) as tables of one bit each: one load a byte on the hot path.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace plimsoll::http {

enum CharClass : std::uint8_t {
    token_char = 1,  // of methods, field names, codings
    target_char = 2, // of request targets, as far as they are accepted
    host_char = 4,   // of host names (RFC 3986, 3.2.2) but for "%", which nobody agrees on, and ",", which parts a list
    hex_char = 8,
    digit_char = 16,
    id_char = 32, // of request ids that are believed
    underscore = 64,
};

namespace detail {
constexpr std::array<std::uint8_t, 256> make_char_classes() {
    std::array<std::uint8_t, 256> classes{};
    auto mark = [&classes](std::string_view chars, CharClass bit) {
        for (char c : chars) classes[static_cast<unsigned char>(c)] |= bit;
    };
    for (char c = 'a'; c <= 'z'; ++c) {
        const char both[] = {c, static_cast<char>(c - 'a' + 'A'), '\0'};
        for (CharClass bit : {token_char, host_char, id_char}) mark(both, bit);
    }
    for (CharClass bit : {token_char, host_char, hex_char, digit_char, id_char}) mark("0123456789", bit);
    mark("abcdefABCDEF", hex_char);
    mark("!#$%&'*+-.^_`|~", token_char);
    mark("-._~!$&'()*+;=", host_char);
    mark("-._~+/=:@", id_char);
    mark("_", underscore);
    for (int c = 0x21; c <= 0x7e; ++c) classes[static_cast<std::size_t>(c)] |= target_char;
    for (char c : {'"', '<', '>', '#'})
        classes[static_cast<unsigned char>(c)] &= static_cast<std::uint8_t>(~target_char);
    return classes;
}
inline constexpr auto char_classes = make_char_classes();
} // namespace detail

constexpr unsigned classes_of(char c) { return detail::char_classes[static_cast<unsigned char>(c)]; }
constexpr bool is(CharClass wanted, char c) { return (classes_of(c) & wanted) != 0; }
constexpr bool all_are(CharClass wanted, std::string_view text) {
    for (char c : text)
        if (!is(wanted, c)) return false;
    return true;
}
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }
constexpr unsigned hex_value(char c) { // of a hex_char
    return static_cast<unsigned>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

} // namespace plimsoll::http
