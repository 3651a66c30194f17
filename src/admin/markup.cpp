#include "admin/markup.hpp"

#include <cmath>
#include <cstdio>

#include <boost/json/array.hpp>

#include "plimsoll/core/bytes.hpp"
#include "plimsoll/core/text.hpp"

namespace plimsoll::admin {

namespace json = boost::json;

namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";

std::string_view entity_of(std::uint32_t code) {
    switch (code) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return {};
    }
}

} // namespace

std::string escaped(std::string_view text) {
    std::string safe;
    safe.reserve(text.size() + text.size() / 8);
    while (!text.empty()) {
        const Character character = first_character(text);
        const std::size_t length = std::max<std::size_t>(character.length, 1);
        const bool plain =
            character.length > 0 && (!is_control(character.code) || character.code == '\n' || character.code == '\t');
        if (const auto entity = entity_of(character.code); plain && !entity.empty())
            safe += entity;
        else
            safe += plain ? text.substr(0, length) : replacement;
        text.remove_prefix(length);
    }
    return safe;
}

std::string base64(std::string_view bytes) {
    constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::size_t count = std::min<std::size_t>(bytes.size() - i, 3);
        std::uint32_t group = 0;
        for (std::size_t j = 0; j < 3; ++j)
            group = group << 8 | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0U);
        for (std::size_t j = 0; j < 4; ++j) text += j <= count ? alphabet[group >> (18 - 6 * j) & 63] : '=';
    }
    return text;
}

std::string text_of(const json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string{};
}

double number_of(const json::object& object, std::string_view key, double otherwise) {
    const auto* value = object.if_contains(key);
    if (value == nullptr || !value->is_number()) return otherwise;
    boost::system::error_code bad;
    const double number = value->to_number<double>(bad);
    return bad || !std::isfinite(number) ? otherwise : number;
}

const json::array& list_of(const json::object& object, std::string_view key) {
    static const json::array none;
    const auto* value = object.if_contains(key);
    return value != nullptr && value->is_array() ? value->get_array() : none;
}

const json::object& object_of(const json::value& value) {
    static const json::object none;
    return value.is_object() ? value.get_object() : none;
}

const json::object& object_of(const json::object& object, std::string_view key) {
    static const json::object none;
    const auto* value = object.if_contains(key);
    return value != nullptr ? object_of(*value) : none;
}

std::string px(double length) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", length);
    return text;
}

std::string bytes_text(double bytes) {
    constexpr double largest = 1e18;
    return to_string(Bytes{std::llround(std::clamp(bytes, -largest, largest))});
}

std::string count_text(double count) {
    char text[48];
    if (std::abs(count) < 10 && count != std::floor(count)) {
        std::snprintf(text, sizeof text, "%.2g", count);
        return text;
    }
    std::snprintf(text, sizeof text, "%.0f", count);
    std::string digits = text;
    const std::size_t first = digits.starts_with('-') ? 1 : 0;
    for (std::size_t i = digits.size(); i > first + 3;) digits.insert(i -= 3, ",");
    return digits;
}

} // namespace plimsoll::admin
