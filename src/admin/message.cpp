#include "admin/message.hpp"

#include <optional>

#include <boost/json/serialize.hpp>

namespace plimsoll::admin {
namespace {

int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// Control characters have no business in a name, and a NUL would cut it short somewhere below.
std::optional<std::string> decode(std::string_view text) {
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%') {
            if (i + 2 >= text.size() || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0) return std::nullopt;
            c = static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
            i += 2;
        }
        if (static_cast<unsigned char>(c) < 0x20) return std::nullopt;
        decoded.push_back(c);
    }
    return decoded;
}

} // namespace

Response json_answer(int status, const boost::json::object& document) {
    Response response;
    response.status = status;
    response.body = boost::json::serialize(document) + "\n";
    return response;
}

Response error_answer(int status, std::string_view error) {
    auto response = json_answer(status, {{"error", error}});
    response.type = "application/problem+json";
    return response;
}

bool split_path(std::string_view target, std::vector<std::string>& segments) {
    auto path = target.substr(0, target.find_first_of("?#"));
    segments.clear();
    if (!path.starts_with('/')) return false;
    path.remove_prefix(1);
    while (true) {
        const auto end = path.find('/');
        auto segment = decode(path.substr(0, end));
        if (!segment) return false;
        segments.push_back(std::move(*segment));
        if (end == std::string_view::npos) return true;
        path.remove_prefix(end + 1);
    }
}

std::string query_value(std::string_view target, std::string_view name) {
    const auto begin = target.find('?');
    if (begin == std::string_view::npos) return {};
    auto query = target.substr(begin + 1);
    while (!query.empty()) {
        const auto end = query.find('&');
        const auto pair = query.substr(0, end);
        const auto equals = pair.find('=');
        if (pair.substr(0, equals) == name && equals != std::string_view::npos)
            return decode(pair.substr(equals + 1)).value_or("");
        query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    }
    return {};
}

} // namespace plimsoll::admin
