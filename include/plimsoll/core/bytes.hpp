// An amount of memory. A type of its own, so that bytes, KiB and pages cannot be mixed up.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace plimsoll {

struct Bytes {
    std::int64_t count = 0;

    friend constexpr auto operator<=>(Bytes, Bytes) = default;
    friend constexpr Bytes operator+(Bytes a, Bytes b) { return {a.count + b.count}; }
    friend constexpr Bytes operator-(Bytes a, Bytes b) { return {a.count - b.count}; }
    friend constexpr Bytes operator*(Bytes a, std::int64_t n) { return {a.count * n}; }
};

constexpr Bytes operator""_KiB(unsigned long long n) { return {static_cast<std::int64_t>(n) << 10}; }
constexpr Bytes operator""_MiB(unsigned long long n) { return {static_cast<std::int64_t>(n) << 20}; }
constexpr Bytes operator""_GiB(unsigned long long n) { return {static_cast<std::int64_t>(n) << 30}; }

// "512MiB", "1.5GiB", "100kB", "4096" (bytes); binary and decimal units, a space before the unit allowed.
// Nothing for anything else, for a negative amount and for one beyond 2^62.
std::optional<Bytes> parse_bytes(std::string_view text);

// For humans: "511.9 MiB"; three to four significant figures.
std::string to_string(Bytes amount);

} // namespace plimsoll
