// Numbers as they stand in the access log and in the trace.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>

#include "plimsoll/core/time.hpp"

namespace plimsoll::net {

inline void append_number(std::string& out, std::uint64_t number) {
    char text[20];
    out.append(text, std::to_chars(text, text + sizeof text, number).ptr);
}

inline void append_hexadecimal(std::string& out, std::uint64_t number) {
    for (int shift = 60; shift >= 0; shift -= 4) out.push_back("0123456789abcdef"[number >> shift & 15]);
}

// Seconds with six digits behind the point; what took no time at all is a plain 0.
inline void append_seconds(std::string& out, Duration span) {
    auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(span).count();
    if (microseconds <= 0) return out.push_back('0');
    constexpr std::int64_t million = 1'000'000;
    append_number(out, static_cast<std::uint64_t>(microseconds / million));
    char digits[7] = {'.'};
    microseconds %= million;
    for (int i = 6; i > 0; --i, microseconds /= 10) digits[i] = static_cast<char>('0' + microseconds % 10);
    out.append(digits, sizeof digits);
}

} // namespace plimsoll::net
