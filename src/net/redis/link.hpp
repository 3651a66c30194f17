// One reactor's connection to Redis, opened again for as long as it is wanted. Questions are pipelined: each is written at once,
// answers come in the same order.
//
//   opening --connected, AUTH, SELECT, SCRIPT LOAD--> ready --it ended, or is silent for a second--> opening
//      '----failed---> resting (50 ms, doubling to 1 s) ---> opening
//
// A question that is put while it is opening waits for that, within its own time; one that is put while it rests is lost at
// once. Everything here belongs to the reactor's thread.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "net/io/loop.hpp"
#include "net/redis/health.hpp"
#include "net/redis/protocol.hpp"
#include "net/redis/question.hpp"
#include "net/redis/wire.hpp"

namespace plimsoll::net::redis {

class Link : public std::enable_shared_from_this<Link> {
public:
    // Runs something on the reactor's thread with its clock set, and those whom it woke afterwards.
    using Act = std::function<void(const std::function<void()>&)>;

    Link(asio::io_context& context, io::Loop& loop, Health& health, Act act, std::shared_ptr<const Settings> settings);
    void start();
    void retire(); // another configuration: closes, and whoever waits goes on without an answer

    const Settings& settings() const { return *settings_; }
    // `arguments` follow the script. The question may be over at once.
    void ask(Question& question, std::vector<std::string> arguments);
    bool busy() const { return awaited_ > 0; } // somebody waits for an answer

private:
    friend class Question;
    enum class State : std::uint8_t { resting, opening, ready };
    struct Sent {
        Question* asker; // null: it left, or its time passed
        Instant at;
    };

    asio::awaitable<void> run();
    asio::awaitable<std::string> open();
    asio::awaitable<std::string> greet();
    asio::awaitable<std::string> receive();
    asio::awaitable<std::string> next_reply(Reply& reply); // while it is opening
    asio::awaitable<std::string> read_answers();
    void became_ready();
    void became_lost(const std::string& problem);
    void failed_to_open(const std::string& problem);
    std::vector<Question*> askers();

    void send(Question& question);
    void flush();
    void take(Reply reply);
    void answered(Question& question, Reply reply);
    void fail(Question& question, RedisResult how, const std::string& problem);
    void end(Question& question, RedisResult how);
    void timed_out(Question& question);
    void withdraw(Question& question);
    void forget(Question& question);

    asio::io_context& context_;
    io::Loop& loop_;
    Health& health_;
    const Act act_;
    const std::shared_ptr<const Settings> settings_;
    std::shared_ptr<Wire> wire_;
    asio::steady_timer bound_; // of opening
    asio::steady_timer rest_;
    State state_ = State::opening;
    std::string why_lost_; // the connection before
    bool retired_ = false;
    Duration pause_{};
    std::string digest_; // of the script, as the server knows it
    std::optional<Reader> reader_;
    std::array<char, 16 << 10> buffer_;

    std::vector<Question*> unsent_; // put while it was opening
    std::deque<Sent> sent_;         // in the order of their answers
    std::uint64_t last_number_ = 0;
    std::size_t awaited_ = 0; // askers that still wait
    std::string out_;         // written next
    bool writing_ = false;
};

} // namespace plimsoll::net::redis
