// One question to Redis, and the answer if it comes in time. Lives in the frame of the coroutine that asks:
//
//     redis::Question question(wakeup);
//     link.ask(question, arguments);
//     while (!question.over()) co_await until(..., io::Wakeup::told);
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "net/io/source.hpp"
#include "net/io/wakeup.hpp"
#include "net/server.hpp"

namespace plimsoll::net::redis {

class Link;

class Question final : public io::Source {
public:
    explicit Question(io::Wakeup& wakeup) : wakeup_(wakeup) {}
    ~Question(); // who leaves before the answer withdraws it

    bool over() const { return over_; }
    bool answered() const { return over_ && result_ == RedisResult::ok; }
    const std::vector<std::int64_t>& numbers() const { return numbers_; } // answered: what the script said

private:
    friend class Link;
    void ready(std::uint32_t) override {}
    void expired() override; // it took too long
    void end(RedisResult result);

    io::Wakeup& wakeup_;
    std::shared_ptr<Link> link_; // while it is under way
    std::vector<std::string> arguments_;
    std::uint64_t number_ = 0; // among those that were sent; 0: not sent yet
    Instant asked_{};
    bool in_full_ = false; // asked with the whole script, which the server had forgotten
    bool over_ = false;
    RedisResult result_ = RedisResult::skipped;
    std::vector<std::int64_t> numbers_;
};

} // namespace plimsoll::net::redis
