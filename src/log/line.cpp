#include "log/line.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>

#include "plimsoll/core/text.hpp"

namespace plimsoll::log {
namespace {

std::string_view name_of(config::LogLevel level) {
    switch (level) {
    case config::LogLevel::trace: return "trace";
    case config::LogLevel::debug: return "debug";
    case config::LogLevel::info: return "info";
    case config::LogLevel::warn: return "warn";
    case config::LogLevel::error: return "error";
    case config::LogLevel::off: break;
    }
    return "off";
}

std::string_view colour_of(config::LogLevel level) {
    switch (level) {
    case config::LogLevel::error: return "\x1b[31m";
    case config::LogLevel::warn: return "\x1b[33m";
    case config::LogLevel::info: return "\x1b[32m";
    default: return "\x1b[2m";
    }
}

template <class Number>
void append_number(std::string& out, Number number) {
    char text[32];
    auto [end, error] = std::to_chars(text, text + sizeof text, number);
    if (error == std::errc{}) out.append(text, end);
}

void append_hex(std::string& out, const char* format, std::uint32_t code) {
    char text[16];
    std::snprintf(text, sizeof text, format, code);
    out += text;
}

void append_control(std::string& out, std::uint32_t code) {
    switch (code) {
    case '\n': out += "\\n"; break;
    case '\r': out += "\\r"; break;
    case '\t': out += "\\t"; break;
    default: append_hex(out, "\\u%04x", code);
    }
}

constexpr bool stands_for_itself(unsigned char c) { return c >= ' ' && c < 0x7f && c != '"' && c != '\\'; }

// Between quotes. JSON knows no byte that is not UTF-8: there it becomes U+FFFD; in text its value is shown.
void append_quoted(std::string& out, std::string_view text, bool json) {
    out += '"';
    while (!text.empty()) {
        std::size_t plain = 0; // nearly always all of it
        while (plain < text.size() && stands_for_itself(static_cast<unsigned char>(text[plain]))) ++plain;
        out.append(text, 0, plain);
        text.remove_prefix(plain);
        if (text.empty()) break;
        auto [code, length] = first_character(text);
        if (length == 0) {
            if (json)
                out += "\\ufffd";
            else
                append_hex(out, "\\x%02x", static_cast<unsigned char>(text.front()));
            length = 1;
        } else if (code == '"' || code == '\\') {
            out += '\\';
            out += static_cast<char>(code);
        } else if (is_control(code)) {
            append_control(out, code);
        } else {
            out += text.substr(0, length);
        }
        text.remove_prefix(length);
    }
    out += '"';
}

bool is_plain(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
    });
}

void append_value(std::string& out, const Value& value, bool json) {
    if (const auto* text = std::get_if<std::string_view>(&value.value)) {
        std::string cut;
        auto shown = *text;
        if (shown.size() > longest_value) {
            cut = std::string(shown.substr(0, longest_value)) + "...";
            shown = cut;
        }
        if (json)
            append_quoted(out, shown, true);
        else
            append_word(out, shown);
    } else if (const auto* number = std::get_if<std::int64_t>(&value.value)) {
        append_number(out, *number);
    } else if (const auto* real = std::get_if<double>(&value.value)) {
        if (std::isfinite(*real))
            append_number(out, *real);
        else
            out += json ? "null" : "-";
    } else {
        out += std::get<bool>(value.value) ? "true" : "false";
    }
}

void append_padded(std::string& out, std::string_view text, std::size_t width) {
    out += text;
    if (text.size() < width) out.append(width - text.size(), ' ');
}

void append_text(std::string& out, bool coloured, WallTime now, config::LogLevel level, std::string_view event,
                 Fields fields) {
    constexpr std::string_view plain = "\x1b[0m";
    append_time(out, now);
    out += ' ';
    if (coloured) out += colour_of(level);
    append_padded(out, name_of(level), 5);
    if (coloured) out += plain;
    out += ' ';
    auto width = fields.size() == 0 ? 0 : 20;
    append_padded(out, event, static_cast<std::size_t>(width));
    for (const auto& field : fields) {
        out += ' ';
        append_word(out, field.key);
        out += '=';
        append_value(out, field.value, false);
    }
}

void append_json(std::string& out, WallTime now, config::LogLevel level, std::string_view event, Fields fields) {
    out += R"({"time":")";
    append_time(out, now);
    out += R"(","level":")";
    out += name_of(level);
    out += R"(","event":)";
    append_quoted(out, event, true);
    for (const auto& field : fields) {
        out += ',';
        append_quoted(out, field.key, true);
        out += ':';
        append_value(out, field.value, true);
    }
    out += '}';
}

} // namespace

void append_time(std::string& out, WallTime now) {
    using namespace std::chrono;
    auto since = floor<milliseconds>(now.time_since_epoch());
    auto whole = static_cast<std::time_t>(floor<seconds>(since).count());
    std::tm utc{};
    gmtime_r(&whole, &utc);
    char text[40];
    auto size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    out.append(text, size);
    std::snprintf(text, sizeof text, ".%03dZ", static_cast<int>((since - floor<seconds>(since)).count()));
    out += text;
}

void append_json_string(std::string& out, std::string_view text) { append_quoted(out, text, true); }

void append_word(std::string& out, std::string_view text) {
    if (is_plain(text))
        out += text;
    else
        append_quoted(out, text, false);
}

void append_line(std::string& out, Format format, WallTime now, config::LogLevel level, std::string_view event,
                 Fields fields) {
    if (format == Format::json)
        append_json(out, now, level, event, fields);
    else
        append_text(out, format == Format::coloured_text, now, level, event, fields);
    out += '\n';
}

} // namespace plimsoll::log
