// Many characters at a time, in one register: how runs of ordinary characters are passed over without a look at each.
// Sixteen where every machine of the kind can (x86-64's SSE2), else eight, by arithmetic on a word:
//
//   within(w, lo, hi): (w' + (0x80 - lo)) & ~(w' + (0x7f - hi)) & ~w, of each byte the high bit; w' is w without its high bits
//
// No sum carries into the next byte, so each byte's mark is exact. Source of the idea: Warren, Hacker's Delight, 6-1.
// What is ordinary is said once for both, in terms of within(), is() and lower_case(), which mark or change each byte.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace plimsoll::http::words {

constexpr std::uint64_t high_bits = 0x8080808080808080;
constexpr std::uint64_t all(std::uint64_t byte) { return byte * 0x0101010101010101; }

// Marks the bytes from `low` (at least 1) to `high` (at most 0x7f), both included.
constexpr std::uint64_t within(std::uint64_t word, unsigned low, unsigned high) {
    const std::uint64_t ascii = word & ~high_bits;
    return (ascii + all(0x80 - low)) & ~(ascii + all(0x7f - high)) & ~word & high_bits;
}
constexpr std::uint64_t is(std::uint64_t word, char c) {
    return within(word, static_cast<unsigned char>(c), static_cast<unsigned char>(c));
}
constexpr std::uint64_t lower_case(std::uint64_t word) { return word | all(0x20); } // of letters

#ifdef __SSE2__
using Block = signed char __attribute__((vector_size(16))); // a byte beyond ASCII is negative: within() no range

inline Block within(Block block, unsigned low, unsigned high) {
    return (block >= static_cast<signed char>(low)) & (block <= static_cast<signed char>(high));
}
inline Block is(Block block, char c) { return block == static_cast<signed char>(c); }
inline Block lower_case(Block block) { return block | static_cast<signed char>(0x20); }
#endif

// The first byte that `ordinary` does not mark, or one of the last seven: those are for the caller to look at.
template <class Ordinary>
const char* skip(const char* at, const char* end, Ordinary ordinary) {
#ifdef __SSE2__
    for (; end - at >= 16; at += 16) {
        Block block;
        std::memcpy(&block, at, sizeof block);
        const auto marked = static_cast<unsigned>(_mm_movemask_epi8(std::bit_cast<__m128i>(ordinary(block))));
        if (marked != 0xffff)
            return at + __builtin_ctz(~marked); // std::countr_one() would look for "all of them" again
    }
#endif
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
