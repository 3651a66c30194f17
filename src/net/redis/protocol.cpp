#include "net/redis/protocol.hpp"

#include <algorithm>
#include <new>

#include <hiredis/hiredis.h>

namespace plimsoll::net::redis {

namespace {

Reply reply_of(const redisReply& raw) {
    Reply reply;
    switch (raw.type) {
    case REDIS_REPLY_ERROR: reply.kind = Reply::Kind::error; break;
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_STRING: reply.kind = Reply::Kind::text; break;
    case REDIS_REPLY_INTEGER:
        reply.kind = Reply::Kind::numbers;
        reply.numbers = {raw.integer};
        return reply;
    case REDIS_REPLY_ARRAY: {
        const std::span<redisReply*> elements(raw.element, raw.elements);
        if (!std::ranges::all_of(elements, [](const auto* each) { return each->type == REDIS_REPLY_INTEGER; }))
            return reply;
        reply.kind = Reply::Kind::numbers;
        for (const auto* each : elements) reply.numbers.push_back(each->integer);
        return reply;
    }
    default: return reply;
    }
    reply.text.assign(raw.str, raw.len);
    return reply;
}

} // namespace

std::string command(std::span<const std::string_view> words) {
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    for (const auto word : words) {
        texts.push_back(word.data());
        sizes.push_back(word.size());
    }
    char* formatted = nullptr;
    const int size = redisFormatCommandArgv(&formatted, static_cast<int>(words.size()), texts.data(), sizes.data());
    if (size < 0) throw std::bad_alloc();
    std::string bytes(formatted, static_cast<std::size_t>(size));
    redisFreeCommand(formatted);
    return bytes;
}

Reader::Reader() : reader_(redisReaderCreate()) {
    if (!reader_) throw std::bad_alloc();
}

Reader::~Reader() { redisReaderFree(reader_); }

void Reader::feed(std::string_view bytes) {
    unread_ += bytes.size();
    if (redisReaderFeed(reader_, bytes.data(), bytes.size()) != REDIS_OK) broken_ = true;
}

std::optional<Reply> Reader::next() {
    void* raw = nullptr;
    if (broken_ || redisReaderGetReply(reader_, &raw) != REDIS_OK) {
        broken_ = true;
        return std::nullopt;
    }
    if (!raw) {
        broken_ = unread_ > largest_reply;
        return std::nullopt;
    }
    unread_ = 0;
    const std::unique_ptr<void, decltype(&freeReplyObject)> owner(raw, freeReplyObject);
    return reply_of(*static_cast<const redisReply*>(raw));
}

} // namespace plimsoll::net::redis
