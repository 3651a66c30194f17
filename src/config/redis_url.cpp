#include "config/redis_url.hpp"

#include <algorithm>
#include <charconv>

#include "config/place.hpp"

namespace plimsoll::config {
namespace {

constexpr unsigned most_databases = 1'000'000;

template <class Number>
bool whole_number(std::string_view text, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size();
}

// False: an escape that is none.
bool decode(std::string_view text, std::string& to) {
    while (!text.empty()) {
        if (text.front() != '%') {
            to += text.front();
            text.remove_prefix(1);
            continue;
        }
        unsigned char byte = 0;
        if (text.size() < 3) return false;
        const auto [end, error] = std::from_chars(text.data() + 1, text.data() + 3, byte, 16);
        if (error != std::errc{} || end != text.data() + 3) return false;
        to += static_cast<char>(byte);
        text.remove_prefix(3);
    }
    return true;
}

bool take_database(std::string_view text, RedisUrl& url, std::string& why_not) {
    if (text.empty() || (whole_number(text, url.database) && url.database <= most_databases)) return true;
    why_not = "the database is a number, such as 0";
    return false;
}

bool take_credentials(std::string_view text, RedisUrl& url, std::string& why_not) {
    const auto colon = std::min(text.find(':'), text.size());
    const auto password = text.substr(std::min(colon + 1, text.size()));
    if (decode(text.substr(0, colon), url.user) && decode(password, url.password)) return true;
    why_not = "a '%' in user or password is written %25";
    return false;
}

bool take_host(std::string_view text, RedisUrl& url, std::string& why_not) {
    const bool bracketed = text.starts_with('[');
    const auto colon = bracketed ? text.find("]:") : text.find(':');
    const auto host = text.substr(0, bracketed && colon != text.npos ? colon + 1 : colon);
    const auto port = colon == text.npos ? std::string_view("6379") : text.substr(colon + (bracketed ? 2 : 1));
    std::string reason;
    const auto place = parse_place("tcp:" + std::string(host) + ":" + std::string(port), reason);
    if (place && !place->unix_socket && !place->host.empty() && place->port != 0) {
        url.host = place->host;
        url.port = place->port;
        return true;
    }
    why_not = "HOST or HOST:PORT is expected after // and before the next /";
    return false;
}

bool take_socket(std::string_view text, RedisUrl& url, std::string& why_not) {
    const auto query = text.find('?');
    url.path = text.substr(0, query);
    if (url.path.size() < 2 || !url.path.starts_with('/') || url.path.size() > 107) {
        why_not = "the path of the socket must begin with / and have at most 107 bytes";
        return false;
    }
    if (query == text.npos) return true;
    if (text.substr(query).starts_with("?db=")) return take_database(text.substr(query + 4), url, why_not);
    why_not = "only ?db=NUMBER may follow the path";
    return false;
}

} // namespace

std::string RedisUrl::shown() const {
    const auto number = database == 0 ? std::string() : std::to_string(database);
    if (host.empty()) return "unix://" + path + (number.empty() ? "" : "?db=" + number);
    const bool ipv6 = host.find(':') != std::string::npos;
    return (tls ? "rediss://" : "redis://") + (ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port) +
           (number.empty() ? "" : "/" + number);
}

std::optional<RedisUrl> parse_redis_url(std::string_view text, std::string& why_not) {
    RedisUrl url;
    const auto scheme = text.substr(0, text.find(':'));
    auto rest = text.substr(std::min(scheme.size() + 1, text.size()));
    if (scheme == "unix") {
        if (rest.starts_with("//")) rest.remove_prefix(2);
        return take_socket(rest, url, why_not) ? std::optional(url) : std::nullopt;
    }
    if ((scheme != "redis" && scheme != "rediss") || !rest.starts_with("//")) {
        why_not = "must begin with redis://, rediss:// (TLS) or unix:///";
        return std::nullopt;
    }
    url.tls = scheme == "rediss";
    rest.remove_prefix(2);
    const auto at = rest.rfind('@');
    if (at != rest.npos && !take_credentials(rest.substr(0, at), url, why_not)) return std::nullopt;
    if (at != rest.npos) rest.remove_prefix(at + 1);
    const auto slash = rest.find('/');
    if (!take_host(rest.substr(0, slash), url, why_not)) return std::nullopt;
    if (slash != rest.npos && !take_database(rest.substr(slash + 1), url, why_not)) return std::nullopt;
    return url;
}

} // namespace plimsoll::config
