// The request's body, before a worker is asked for: what of it came with the head, what is still to come, and how long that
// may take. Here too, what a client owes us while it takes its answer: neither side may be slower than the listener's min_rate.
#include <algorithm>

#include "net/reactor.hpp"
#include "net/session.hpp"

namespace plimsoll::net {

using io::Stream;
using io::until;

namespace {

constexpr unsigned reads_a_turn = 16; // of one client that never makes us wait

} // namespace

// Sorts what came with the head: body, or the beginning of the next request.
void Session::begin_body(Exchange& x) {
    const auto rest = std::exchange(x.loose, {});
    auto next = rest; // what belongs to the next request
    const auto max_body = static_cast<std::uint64_t>(listener().max_body.count);
    std::string options;
    if (x.framing.kind == http::Framing::Kind::chunked)
        if (const auto& head = head_of(x); head.connection_names_fields)
            options = http::connection_options(head.fields);
    const http::LeftOut no_trailers{.trusted = trusted_ ? nullptr : &snapshot_->trusted_fields(),
                                    .edits = x.route && x.route->actions ? &x.route->actions->request : nullptr,
                                    .connection = options};
    x.upload.expect(x.framing, max_body, snapshot_->body_memory, x.route && x.route->rule.stream, no_trailers);
    if (x.framing.kind == http::Framing::Kind::length &&
        x.framing.length <= std::min<std::uint64_t>(rest.size(), max_body)) {
        x.loose = rest.substr(0, static_cast<std::size_t>(x.framing.length));
        x.upload.all_is_loose(x.framing.length);
        next.remove_prefix(x.loose.size());
    } else if (!rest.empty()) {
        next = x.upload.take(rest);
    }
    if (held_.empty())
        held_.assign(next);
    else // there it lies
        held_.use(held_.size() - next.size());
    check_body(x);
}

void Session::check_body(Exchange& x) {
    switch (x.upload.state()) {
    case Upload::State::more: return;
    case Upload::State::complete:
        x.half_closed = client_.is(Stream::hangup);
        x.whole_at = reactor_.loop.now;
        x.expects_continue = false; // it did not wait for it, or has been told
        return;
    case Upload::State::broken: x.refusal = x.upload.fault(); return;
    case Upload::State::too_large:
        x.refusal = {413, "body_too_large", "the body of the request is larger than this server takes"};
        return;
    case Upload::State::no_room:
        x.refusal = {503, "buffers_full", "this server has no room to buffer the body of the request"};
        return;
    case Upload::State::cut_short: x.refusal = request_incomplete; return;
    case Upload::State::gone: x.gone = true; return;
    }
}

io::Task<> Session::read_body(Exchange& x) {
    if (std::exchange(x.expects_continue, false) && x.upload.received() == 0) {
        // Two dozen bytes fit, unless the client has stopped reading the answers before.
        if (client_.write(http::continue_head).kind != io::Io::done) x.gone = true;
    }
    unsigned in_a_row = 0;
    while (x.open() && !x.upload.complete()) {
        if (!client_.is(Stream::readable)) {
            client_.expect_within(listener().body_timeout);
            const auto since = reactor_.loop.now;
            co_await until(wakeup_, client_, Stream::readable | Stream::late);
            in_a_row = 0;
            if (cut_short()) x.gone = true;
            if (!x.gone && client_.is(Stream::late))
                x.refusal = {408, "body_timeout", "the body of the request did not arrive in time"};
            else if (!x.gone && overdue())
                x.refusal = {408, "deadline", "the request was not here whole within its deadline"};
            else if (!x.gone && too_slow_a_sender(x, reactor_.loop.now - since))
                x.refusal = {408, "min_rate", "the body of the request comes too slowly"};
            if (!x.open()) break;
        } else if (++in_a_row == reads_a_turn) {
            co_await io::next_turn(wakeup_);
            in_a_row = 0;
        }
        x.upload.read(client_, held_);
        check_body(x);
    }
    client_.no_deadline();
    x.body_took = reactor_.loop.now - x.began;
}

void Session::settle(Exchange& x) {
    if (!x.loose.empty() && !x.upload.store_loose(x.loose))
        x.refusal = {503, "buffers_full", "this server has no room to buffer the body of the request"};
    x.loose = {};
    if (!held_.holds_memory() || !held_.empty()) return;
    reactor_.loop.outdate(); // the head may have been parsed there
    held_.release();
}

bool Session::too_slow_a_sender(Exchange& x, Duration waited) {
    const auto least = listener().min_rate.count;
    x.sending.waited(waited);
    return least > 0 && x.sending.due(listener().body_timeout) &&
           x.sending.too_slow(static_cast<std::int64_t>(x.upload.received()), least);
}

// What the client has is what was written and does not lie in the socket's queue any more. Writability alone would not do:
// with a queue of megabytes it comes once in a minute to a client that takes a steady 20 kB/s.
bool Session::took_something(Exchange& x) {
    const auto taken = static_cast<std::int64_t>(x.flushed) - static_cast<std::int64_t>(client_.untaken());
    if (!x.taking.begun()) x.taking.begin(taken); // what earlier answers left in the queue is none of this one's
    return std::exchange(x.taken, taken) < taken;
}

bool Session::too_slow_a_taker(Exchange& x, Duration waited) {
    const auto least = listener().min_rate.count;
    x.taking.waited(waited);
    if (least == 0 || !x.taking.due(listener().write_timeout)) return false;
    took_something(x);
    return x.taking.too_slow(x.taken, least);
}

} // namespace plimsoll::net
