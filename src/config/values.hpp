// The words of the configuration: text to value and back. Each parser takes the whole text or nothing.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "config/config.hpp"

namespace plimsoll::config {

std::optional<Duration> parse_duration(std::string_view text); // "250ms", "1.5s", "2m", "1h", "30d"; never negative
std::optional<double> parse_share(std::string_view text);      // "85%", "0.85"; 0 to 1
std::optional<Level> parse_level(std::string_view text);       // "400MiB", "80%"

struct Rate {
    double per_second = 0;
};
std::optional<Rate> parse_rate(std::string_view text); // "100/s", "30/m", "1000/h"

struct StatusRange {
    int first = 0, last = 0; // both belong to it
    bool holds(int status) const { return status >= first && status <= last; }
};
std::optional<StatusRange> parse_status_range(std::string_view text); // "200", "200-399"; 100 to 599

std::optional<unsigned> parse_file_mode(std::string_view text); // "0660": four octal digits up to 0777

std::string to_text(Duration duration); // the largest unit that divides it: "1500ms", "30s", "10m"
std::string to_text(Bytes size);        // as one would write it, exactly: "400MiB", "1536KiB", "1001"
std::string to_text(double share);      // "85%"
std::string to_text(const Level& level);

// The names of an enumeration's values, in order.
template <class Enum>
using Names = std::span<const std::pair<std::string_view, Enum>>;
Names<Mode> names(Mode);
Names<LogLevel> names(LogLevel);
Names<AccessField> names(AccessField);
Names<SourceKind> names(SourceKind);
Names<Priority> names(Priority);
Names<OnFailure> names(OnFailure);
template <class Enum>
std::string_view name_of(Enum value) {
    for (const auto& [name, candidate] : names(value))
        if (candidate == value) return name;
    return "?";
}

} // namespace plimsoll::config
