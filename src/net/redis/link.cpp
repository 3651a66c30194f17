#include "net/redis/link.hpp"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>

#include "config/values.hpp"
#include "log/log.hpp"
#include "plimsoll/policy/shared_rate.hpp"

namespace plimsoll::net::redis {

namespace {

using namespace std::chrono_literals;

constexpr Duration open_bound = 1s;      // connect, TLS and the greeting
constexpr Duration longest_silence = 1s; // with a question out; then the connection is taken for dead
constexpr Duration shortest_pause = 50ms, longest_pause = 1s;
constexpr Duration proved = 1s; // a connection that lasted so long is opened again without a pause

} // namespace

Question::~Question() {
    if (link_) link_->withdraw(*this);
}

void Question::expired() { link_->timed_out(*this); }

void Question::end(RedisResult result) {
    io::Deadlines::disarm(*this);
    over_ = true;
    result_ = result;
    wakeup_.signal(io::Wakeup::told);
    link_.reset(); // the last thing: it may be the last who holds the link
}

Link::Link(asio::io_context& context, io::Loop& loop, Health& health, Act act, std::shared_ptr<const Settings> settings)
    : context_(context), loop_(loop), health_(health), act_(std::move(act)), settings_(std::move(settings)),
      bound_(context), rest_(context) {}

void Link::start() {
    asio::co_spawn(
        context_, [self = shared_from_this()] { return self->run(); },
        [](const std::exception_ptr& failure) {
            try {
                if (failure) std::rethrow_exception(failure);
            } catch (const std::exception& error) {
                log::error("redis_link_failed", {{"error", error.what()}});
            }
        });
}

void Link::retire() {
    retired_ = true;
    if (wire_) wire_->close("another one is configured");
    bound_.cancel();
    rest_.cancel();
    if (std::exchange(state_, State::resting) == State::ready) health_.connected(false);
    for (auto* question : askers()) {
        health_.withdrawn(*settings_, loop_.now);
        end(*question, RedisResult::lost);
    }
}

// Those who wait, taken out of the books: to be ended one by one, whatever each of them does when it hears of it.
std::vector<Question*> Link::askers() {
    auto waiting = std::exchange(unsent_, {});
    for (const auto& each : std::exchange(sent_, {}))
        if (each.asker) waiting.push_back(each.asker);
    out_.clear();
    return waiting;
}

asio::awaitable<void> Link::run() {
    while (!retired_) {
        state_ = State::opening;
        wire_ = std::make_shared<Wire>(context_, settings_);
        reader_.emplace();
        writing_ = false;
        auto problem = co_await open();
        if (problem.empty()) {
            const auto since = Clock::now();
            act_([this] { became_ready(); });
            problem = co_await read_answers();
            if (Clock::now() - since >= proved) pause_ = {};
            wire_->close(problem);
            act_([&] { became_lost(problem); });
        } else {
            wire_->close(problem);
            act_([&] { failed_to_open(problem); });
        }
        if (retired_) co_return;
        if (pause_ > Duration::zero()) {
            rest_.expires_after(pause_);
            co_await rest_.async_wait(as_result); // over, or cancelled: either way the loop asks whether it goes on
        }
        pause_ = std::clamp(pause_ * 2, shortest_pause, longest_pause);
    }
}

asio::awaitable<std::string> Link::open() {
    bound_.expires_after(open_bound);
    bound_.async_wait([self = shared_from_this(), wire = wire_](const boost::system::error_code& error) {
        if (!error && self->wire_ == wire && self->state_ == State::opening)
            wire->close("it did not answer within " + config::to_text(open_bound));
    });
    auto problem = co_await wire_->open();
    if (problem.empty()) problem = co_await greet();
    bound_.cancel();
    co_return problem;
}

asio::awaitable<std::string> Link::greet() {
    const auto database = std::to_string(settings_->url.database);
    std::vector<std::vector<std::string_view>> orders;
    if (!settings_->password.empty() && settings_->user.empty()) orders.push_back({"AUTH", settings_->password});
    if (!settings_->user.empty()) orders.push_back({"AUTH", settings_->user, settings_->password});
    if (settings_->url.database != 0) orders.push_back({"SELECT", database});
    orders.push_back({"SCRIPT", "LOAD", shared_rate_script()});
    Reply reply;
    for (const auto& order : orders) {
        out_ += command(order);
        flush();
        auto problem = co_await next_reply(reply);
        if (problem.empty() && reply.kind == Reply::Kind::error) problem = std::string(order[0]) + ": " + reply.text;
        if (!problem.empty()) co_return problem;
    }
    digest_ = reply.text;
    co_return std::string();
}

asio::awaitable<std::string> Link::receive() {
    if (reader_->broken()) co_return std::string("what answers there is no Redis");
    std::size_t count = 0;
    auto problem = co_await wire_->read(buffer_.data(), buffer_.size(), count);
    if (problem.empty()) reader_->feed({buffer_.data(), count});
    co_return problem;
}

asio::awaitable<std::string> Link::next_reply(Reply& reply) {
    while (true) {
        if (auto next = reader_->next()) {
            reply = std::move(*next);
            co_return std::string();
        }
        auto problem = co_await receive();
        if (!problem.empty()) co_return problem;
    }
}

asio::awaitable<std::string> Link::read_answers() {
    while (true) {
        act_([this] {
            while (auto reply = reader_->next()) take(std::move(*reply));
        });
        auto problem = co_await receive();
        if (!problem.empty()) co_return problem;
    }
}

void Link::became_ready() {
    if (retired_) return;
    state_ = State::ready;
    health_.connected(true);
    for (auto* question : std::exchange(unsent_, {})) send(*question);
    flush();
}

void Link::became_lost(const std::string& problem) {
    if (retired_) return;
    state_ = pause_ > Duration::zero() ? State::resting : State::opening;
    health_.connected(false);
    why_lost_ = problem;
    for (auto* question : askers()) fail(*question, RedisResult::lost, problem);
}

void Link::failed_to_open(const std::string& problem) {
    if (retired_) return;
    state_ = State::resting;
    why_lost_ = problem;
    pause_ = std::max(pause_, shortest_pause);
    health_.unreachable(*settings_, loop_.now, problem);
    for (auto* question : askers()) fail(*question, RedisResult::lost, problem);
}

void Link::ask(Question& question, std::vector<std::string> arguments) {
    const auto without = [&](RedisResult why) {
        health_.not_asked(why);
        question.end(why);
    };
    // A connection that is only being made says nothing yet: the one probe must not be spent on it.
    if (state_ != State::ready && !health_.passing()) return without(RedisResult::skipped);
    if (sent_.size() + unsent_.size() >= settings_->config.max_in_flight) return without(RedisResult::busy);
    if (state_ == State::resting) {
        health_.unsent(*settings_, loop_.now, RedisResult::lost, why_lost_);
        return question.end(RedisResult::lost);
    }
    if (!health_.admits(*settings_, loop_.now)) return without(RedisResult::skipped);
    question.link_ = shared_from_this();
    question.arguments_ = std::move(arguments);
    question.asked_ = loop_.now;
    ++awaited_;
    loop_.deadlines.arm(question, settings_->config.timeout, loop_.now);
    if (state_ == State::opening) return unsent_.push_back(&question);
    send(question);
    flush();
}

void Link::send(Question& question) {
    std::vector<std::string_view> words = {"EVALSHA", digest_};
    if (question.in_full_) words = {"EVAL", shared_rate_script()};
    words.insert(words.end(), question.arguments_.begin(), question.arguments_.end());
    out_ += command(words);
    sent_.push_back({&question, loop_.now});
    question.number_ = ++last_number_;
}

void Link::flush() {
    if (writing_ || out_.empty()) return;
    writing_ = true;
    wire_->write(std::exchange(out_, {}), [self = shared_from_this(), wire = wire_](bool ok) {
        if (wire != self->wire_) return; // that was another connection
        self->writing_ = false;
        if (ok)
            self->flush();
        else
            wire->close("the server closed the connection");
    });
}

void Link::take(Reply reply) {
    if (sent_.empty()) return wire_->close("it said what nobody had asked for");
    auto* const asker = sent_.front().asker;
    sent_.pop_front();
    if (asker) answered(*asker, std::move(reply));
}

void Link::answered(Question& question, Reply reply) {
    if (reply.failed_with("NOSCRIPT") && !question.in_full_) {
        question.in_full_ = true;
        send(question);
        return flush();
    }
    if (reply.failed_with("READONLY"))
        wire_->close(reply.text); // the primary may be elsewhere by now: look its name up again
    if (reply.kind == Reply::Kind::error) return fail(question, RedisResult::error, reply.text);
    if (reply.kind != Reply::Kind::numbers) return fail(question, RedisResult::error, "it answered something else");
    health_.answered(*settings_, loop_.now, loop_.now - question.asked_);
    question.numbers_ = std::move(reply.numbers);
    end(question, RedisResult::ok);
}

void Link::fail(Question& question, RedisResult how, const std::string& problem) {
    if (question.number_ == 0)
        health_.unsent(*settings_, loop_.now, how, problem);
    else
        health_.failed(*settings_, loop_.now, how, problem);
    end(question, how);
}

void Link::end(Question& question, RedisResult how) {
    --awaited_;
    question.end(how);
}

void Link::forget(Question& question) {
    if (question.number_ == 0)
        std::erase(unsent_, &question);
    else
        sent_[static_cast<std::size_t>(question.number_ - (last_number_ - sent_.size() + 1))].asker = nullptr;
}

void Link::timed_out(Question& question) {
    forget(question);
    const auto keep = shared_from_this();
    fail(question, RedisResult::timeout, "no answer within " + config::to_text(settings_->config.timeout));
    const auto patience = std::max<Duration>(longest_silence, 2 * settings_->config.timeout);
    if (state_ == State::ready && !sent_.empty() && loop_.now - sent_.front().at > patience)
        wire_->close("it has been silent for " + config::to_text(patience));
}

void Link::withdraw(Question& question) {
    forget(question);
    health_.withdrawn(*settings_, loop_.now);
    --awaited_;
}

} // namespace plimsoll::net::redis
