#include "config/values.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace plimsoll::config {
namespace {

using namespace std::chrono;

struct Unit {
    std::string_view name;
    Duration length;
};
// Longest first: to_text takes the first one that divides, parse_duration compares whole names.
constexpr std::array units = {
    Unit{"d", hours{24}},        Unit{"h", hours{1}},         Unit{"m", minutes{1}},      Unit{"s", seconds{1}},
    Unit{"ms", milliseconds{1}}, Unit{"us", microseconds{1}}, Unit{"ns", nanoseconds{1}},
};
// Beyond this a sum of two durations could overflow; nobody waits ten years for a worker.
constexpr Duration longest = hours{24 * 365 * 10};

// A plain decimal number at the front of the text: no sign, no exponent, no "inf". Takes it off the text.
std::optional<double> take_number(std::string_view& text) {
    auto end = text.find_first_not_of("0123456789.");
    auto digits = text.substr(0, end);
    if (digits.empty() || digits.front() == '.' || digits.back() == '.') return {};
    double number = 0;
    auto [rest, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), number, std::chars_format::fixed);
    if (error != std::errc{} || rest != digits.data() + digits.size()) return {};
    text.remove_prefix(digits.size());
    return number;
}

void skip_spaces(std::string_view& text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
}

constexpr std::pair<std::string_view, Mode> modes[] = {
    {"enforce", Mode::enforce}, {"shadow", Mode::shadow}, {"off", Mode::off}};
constexpr std::pair<std::string_view, LogLevel> levels[] = {{"trace", LogLevel::trace}, {"debug", LogLevel::debug},
                                                            {"info", LogLevel::info},   {"warn", LogLevel::warn},
                                                            {"error", LogLevel::error}, {"off", LogLevel::off}};
constexpr std::pair<std::string_view, AccessField> columns[] = {{"client", AccessField::client},
                                                                {"method", AccessField::method},
                                                                {"host", AccessField::host},
                                                                {"path", AccessField::path},
                                                                {"protocol", AccessField::protocol},
                                                                {"status", AccessField::status},
                                                                {"request_bytes", AccessField::request_bytes},
                                                                {"response_bytes", AccessField::response_bytes},
                                                                {"seconds", AccessField::seconds},
                                                                {"head_seconds", AccessField::head_seconds},
                                                                {"body_seconds", AccessField::body_seconds},
                                                                {"queue_seconds", AccessField::queue_seconds},
                                                                {"connect_seconds", AccessField::connect_seconds},
                                                                {"first_byte_seconds", AccessField::first_byte_seconds},
                                                                {"pool", AccessField::pool},
                                                                {"worker", AccessField::worker},
                                                                {"route", AccessField::route},
                                                                {"priority", AccessField::priority},
                                                                {"attempts", AccessField::attempts},
                                                                {"reason", AccessField::reason},
                                                                {"request_id", AccessField::request_id},
                                                                {"user_agent", AccessField::user_agent},
                                                                {"referer", AccessField::referer}};
constexpr std::pair<std::string_view, OnFailure> failures[] = {
    {"local", OnFailure::local}, {"open", OnFailure::open}, {"closed", OnFailure::closed}};
constexpr std::pair<std::string_view, SourceKind> kinds[] = {{"static", SourceKind::static_addresses},
                                                             {"command", SourceKind::command},
                                                             {"gunicorn", SourceKind::gunicorn},
                                                             {"uvicorn", SourceKind::uvicorn},
                                                             {"uwsgi", SourceKind::uwsgi}};
constexpr std::pair<std::string_view, Priority> ranks[] = {
    {"critical", Priority::critical}, {"normal", Priority::normal}, {"sheddable", Priority::sheddable}};

} // namespace

std::optional<Duration> parse_duration(std::string_view text) {
    auto number = take_number(text);
    if (!number) return {};
    skip_spaces(text);
    for (const auto& unit : units) {
        if (text != unit.name) continue;
        double count = *number * static_cast<double>(unit.length.count());
        if (count > static_cast<double>(longest.count())) return {};
        return Duration{std::llround(count)};
    }
    return {};
}

std::optional<double> parse_share(std::string_view text) {
    auto number = take_number(text);
    if (!number) return {};
    skip_spaces(text);
    if (text != "" && text != "%") return {};
    double share = text == "%" ? *number / 100 : *number;
    if (share > 1) return {};
    return share;
}

std::optional<Level> parse_level(std::string_view text) {
    if (text.ends_with('%')) {
        auto share = parse_share(text);
        return share ? std::optional(Level{*share}) : std::nullopt;
    }
    auto bytes = parse_bytes(text);
    return bytes ? std::optional(Level{*bytes}) : std::nullopt;
}

std::optional<Rate> parse_rate(std::string_view text) {
    auto number = take_number(text);
    if (!number || *number <= 0) return {};
    if (text == "/s") return Rate{*number};
    if (text == "/m") return Rate{*number / 60};
    if (text == "/h") return Rate{*number / 3600};
    return {};
}

std::optional<StatusRange> parse_status_range(std::string_view text) {
    const auto status = [](std::string_view digits) -> std::optional<int> {
        if (digits.size() != 3 || digits.find_first_not_of("0123456789") != digits.npos) return {};
        const int value = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
        return value >= 100 && value <= 599 ? std::optional(value) : std::nullopt;
    };
    const auto dash = text.find('-');
    const auto first = status(text.substr(0, dash));
    const auto last = dash == text.npos ? first : status(text.substr(dash + 1));
    if (!first || !last || *first > *last) return {};
    return StatusRange{*first, *last};
}

std::optional<unsigned> parse_file_mode(std::string_view text) {
    if (text.size() != 4 || text.front() != '0' || text.find_first_not_of("01234567") != text.npos) return {};
    unsigned mode = 0;
    for (const char digit : text) mode = mode * 8 + static_cast<unsigned>(digit - '0');
    return mode;
}

std::string to_text(Duration duration) {
    if (duration == Duration::zero()) return "0s";
    for (const auto& unit : units)
        if (duration % unit.length == Duration::zero())
            return std::to_string(duration / unit.length) + std::string(unit.name);
    return std::to_string(duration.count()) + "ns";
}

std::string to_text(Bytes size) {
    for (auto [name, shift] : {std::pair{"GiB", 30}, std::pair{"MiB", 20}, std::pair{"KiB", 10}})
        if (size.count != 0 && size.count % (std::int64_t{1} << shift) == 0)
            return std::to_string(size.count >> shift) + name;
    return std::to_string(size.count);
}

std::string to_text(double share) {
    char text[32];
    auto [end, error] = std::to_chars(text, text + sizeof text, std::round(share * 1e6) / 1e4);
    return error == std::errc{} ? std::string(text, end) + "%" : "?";
}

std::string to_text(const Level& level) {
    if (const auto* share = std::get_if<double>(&level.value)) return to_text(*share);
    return to_text(std::get<Bytes>(level.value));
}

Bytes Level::of(Bytes limit) const {
    if (const auto* share = std::get_if<double>(&value))
        return {std::llround(*share * static_cast<double>(limit.count))};
    return std::get<Bytes>(value);
}

Names<Mode> names(Mode) { return modes; }
Names<LogLevel> names(LogLevel) { return levels; }
Names<AccessField> names(AccessField) { return columns; }
Names<SourceKind> names(SourceKind) { return kinds; }
Names<OnFailure> names(OnFailure) { return failures; }
Names<Priority> names(Priority) { return ranks; }

std::string_view to_string(Mode mode) { return name_of(mode); }
std::string_view to_string(LogLevel level) { return name_of(level); }
std::string_view to_string(SourceKind kind) { return name_of(kind); }
std::string_view to_string(OnFailure how) { return name_of(how); }

} // namespace plimsoll::config
