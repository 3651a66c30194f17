// Eight characters at a time, in one register: how runs of ordinary characters are passed over without a look at each.
//
//   within(w, lo, hi): (w' + (0x80 - lo)) & ~(w' + (0x7f - hi)) & ~w, of each byte the high bit; w' is w without its high bits
//
// No sum carries into the next byte, so each byte's mark is exact. Source of the idea: Warren, Hacker's Delight, 6-1.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace plimsoll::http::words {

constexpr std::uint64_t high_bits = 0x8080808080808080;
constexpr std::uint64_t all(std::uint64_t byte) { return byte * 0x0101010101010101; }

// Marks the bytes from `low` (at least 1) to `high` (at most 0x7f), both included.
constexpr std::uint64_t within(std::uint64_t word, unsigned low, unsigned high) {
    const std::uint64_t ascii = word & ~high_bits;
    return (ascii + all(0x80 - low)) & ~(ascii + all(0x7f - high)) & ~word & high_bits;
}

// The first byte that `ordinary` does not mark, or one of the last seven: those are for the caller to look at.
template <class Ordinary>
const char* skip(const char* at, const char* end, Ordinary ordinary) {
    if constexpr (std::endian::native == std::endian::little) {
        for (; end - at >= 8; at += 8) {
            std::uint64_t word;
            std::memcpy(&word, at, sizeof word);
            if (const std::uint64_t others = ~ordinary(word) & high_bits) return at + std::countr_zero(others) / 8;
        }
    }
    return at;
}

} // namespace plimsoll::http::words
