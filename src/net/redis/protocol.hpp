// Redis' protocol, as hiredis writes and parses it. No socket.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct redisReader;

namespace plimsoll::net::redis {

std::string command(std::span<const std::string_view> words);

struct Reply {
    enum class Kind : std::uint8_t { error, text, numbers, other } kind = Kind::other;
    std::string text;                  // of an error: its code first ("OOM command not allowed ...")
    std::vector<std::int64_t> numbers; // an integer, or an array of nothing but integers
    bool failed_with(std::string_view code) const { return kind == Kind::error && text.starts_with(code); }
};

class Reader {
public:
    Reader();
    Reader(const Reader&) = delete;
    ~Reader();

    void feed(std::string_view bytes);
    // The next whole reply; nothing: more is to come, or it is broken.
    std::optional<Reply> next();
    bool broken() const { return broken_; } // this is no Redis, or a reply larger than any that we ask for

    static constexpr std::size_t largest_reply = 64 << 10;

private:
    redisReader* reader_;
    std::size_t unread_ = 0; // fed since the last whole reply
    bool broken_ = false;
};

} // namespace plimsoll::net::redis
