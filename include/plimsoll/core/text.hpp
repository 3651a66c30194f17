// Characters in bytes that somebody else wrote: what a log line or a terminal may show, and what it must not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace plimsoll {

// One character of UTF-8 at the front of a text that is not empty; length 0 where the first byte begins none (a bad
// byte, an overlong form, a surrogate, one that is cut off).
struct Character {
    std::uint32_t code = 0;
    std::size_t length = 0;
};
Character first_character(std::string_view text);

// Control characters of all kinds: C0, DEL, C1, line and paragraph separators, and the marks that turn the direction of
// text around, which can make a line look like another one.
bool is_control(std::uint32_t code);

} // namespace plimsoll
