#include "plimsoll/core/bytes.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace plimsoll {

namespace {

struct Unit {
    std::string_view name;
    double factor;
};
constexpr std::array<Unit, 15> units = {{{"", 1},
                                         {"B", 1},
                                         {"k", 1e3},
                                         {"kB", 1e3},
                                         {"KB", 1e3},
                                         {"MB", 1e6},
                                         {"GB", 1e9},
                                         {"TB", 1e12},
                                         {"KiB", 1024.0},
                                         {"kiB", 1024.0},
                                         {"MiB", 1048576.0},
                                         {"GiB", 1073741824.0},
                                         {"TiB", 1099511627776.0},
                                         {"M", 1e6},
                                         {"G", 1e9}}};
constexpr double largest = 4611686018427387904.0; // 2^62: sums of two still fit

} // namespace

std::optional<Bytes> parse_bytes(std::string_view text) {
    if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
    double number = 0;
    const auto [rest, error] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (error != std::errc{}) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
    if (!text.empty() && text.front() == ' ') {
        text.remove_prefix(1);
        if (text.empty()) return std::nullopt;
    }
    for (const Unit& unit : units) {
        if (unit.name != text) continue;
        const double amount = number * unit.factor;
        if (!(amount < largest)) return std::nullopt;
        return Bytes{std::llround(amount)};
    }
    return std::nullopt;
}

std::string to_string(Bytes amount) {
    static constexpr std::array<const char*, 5> names = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = std::abs(static_cast<double>(amount.count));
    std::size_t unit = 0;
    while (value >= 1024 && unit + 1 < names.size()) {
        value /= 1024;
        ++unit;
    }
    std::array<char, 48> out{};
    const char* sign = amount.count < 0 ? "-" : "";
    std::snprintf(out.data(), out.size(), unit == 0 ? "%s%.0f %s" : "%s%.1f %s", sign, value, names[unit]);
    return out.data();
}

} // namespace plimsoll
