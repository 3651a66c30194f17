// Where Redis is, in one line, as its own tools write it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace plimsoll::config {

struct RedisUrl {
    bool tls = false;
    std::string host; // without brackets; empty: a unix socket
    std::uint16_t port = 6379;
    std::string path; // of a unix socket
    std::string user, password;
    unsigned database = 0;
    std::string shown() const; // "redis://host:6379/1": without user and password
    friend bool operator==(const RedisUrl&, const RedisUrl&) = default;
};

// "redis://[[USER][:PASSWORD]@]HOST[:PORT][/DATABASE]", "rediss://..." for TLS, "unix:///PATH[?db=DATABASE]" or "unix:/PATH".
// Reserved characters of user and password are written %XX. Where it is none of these, why_not says what is wrong and never
// shows the text, which may hold a password.
std::optional<RedisUrl> parse_redis_url(std::string_view text, std::string& why_not);

} // namespace plimsoll::config
