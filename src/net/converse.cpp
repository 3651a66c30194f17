// The request on its way to the worker and the answer on its way to the client, both at once: move what can be moved, then
// sleep until one of the two streams has news, or until either of them has kept us waiting for too long.
#include <utility>

#include "net/download.hpp"
#include "net/reactor.hpp"
#include "net/session.hpp"

namespace plimsoll::net {

using io::Stream;
using io::until;

namespace {

constexpr unsigned moves_a_turn = 16;
constexpr unsigned reads_a_move = 8;
constexpr std::uint64_t stream_window = 64 << 10; // of a streamed body that the worker has not taken yet
// A new client joins the epoll set only when its answer takes this long: most are gone before.
constexpr auto unwatched_time = std::chrono::milliseconds{5};
constexpr auto patience_with_pieces = std::chrono::milliseconds{20};

} // namespace

io::Task<Ending> Session::converse(Exchange& x, Download& download) {
    x.worker_moved = x.client_moved = true; // sets the first deadlines
    unsigned in_a_row = 0;
    while (true) {
        if (const auto ending = move_bytes(x, download)) co_return *ending;
        const auto client_marks = await_client(x, download);
        if (!x.worker) {
            co_await until(wakeup_, client_, client_marks);
        } else {
            until ready(wakeup_, client_, client_marks, *x.worker, await_worker(x, download));
            if (!ready.await_ready()) {
                in_a_row = 0;
                co_await ready;
            } else if (++in_a_row == moves_a_turn) {
                in_a_row = 0;
                co_await io::next_turn(wakeup_);
            }
        }
        if (const auto ending = judge_lateness(x, download)) co_return *ending;
    }
}

// What to wait for on the client's side, with the deadline for it.
std::uint8_t Session::await_client(Exchange& x, const Download& download) {
    x.client_unwatched = false;
    x.waits_since = reactor_.loop.now;
    x.owes_client = !download.all_sent();
    x.wants_body = x.worker && !x.upload.complete() && !x.sending_failed && x.upload.spool().unread() < stream_window;
    // Once the worker is free only the client's own reading matters.
    std::uint8_t marks = x.worker ? client_end(x) : std::uint8_t{0};
    if (x.owes_client || x.wants_body) {
        marks |= Stream::late;
        if (x.owes_client) marks |= Stream::writable;
        if (x.wants_body) marks |= Stream::readable;
        if (std::exchange(x.client_moved, false)) {
            client_.expect_within(x.owes_client ? listener().write_timeout : listener().body_timeout);
            if (x.owes_client) took_something(x);
        }
    } else if (!client_.watched()) {
        x.client_unwatched = x.client_moved = true;
        marks = Stream::late;
        client_.expect_within(unwatched_time);
    } else {
        client_.no_deadline();
        x.client_moved = true; // a wait that begins later has its time before it
    }
    return marks;
}

// And on the worker's.
std::uint8_t Session::await_worker(Exchange& x, const Download& download) {
    std::uint8_t marks = 0;
    if (download.wants_more()) marks |= Stream::readable;
    if (request_unsent(x) && !x.sending_failed) marks |= Stream::writable;
    if (marks == 0) {
        x.worker->no_deadline(); // it is we who make it wait
        x.worker_moved = true;
        return marks;
    }
    const auto& settings = x.route->target->upstream;
    if (std::exchange(x.worker_moved, false))
        x.worker->expect_within(download.holds_out() ? patience_with_pieces
                                : x.answer_began     ? settings.read_timeout
                                                     : settings.response_timeout);
    return static_cast<std::uint8_t>(marks | Stream::late);
}

void Session::heed_patience(Exchange& x) {
    if (x.deadline >= x.bound || x.route->target->upstream.finish_abandoned) return;
    x.impatient = true;
    deadline_.set_at(x.deadline);
}

void Session::forget_patience(Exchange& x) {
    if (!std::exchange(x.impatient, false)) return;
    deadline_.stop();
    if (x.bound != never) deadline_.set_at(x.bound);
}

std::optional<Ending> Session::judge_lateness(Exchange& x, Download& download) {
    if (overdue() && !cut_short()) return overtaken(x, download);
    if (client_.is(Stream::late) && x.client_unwatched) {
        client_.no_deadline();
        x.half_closed |= client_.has_ended();
        client_.watch();
    } else if (client_.is(Stream::late)) {
        x.client_moved = x.owes_client && took_something(x);
        if (!x.client_moved) return given_up(x, "body_timeout", "the body of the request did not arrive in time");
    }
    const auto waited = reactor_.loop.now - x.waits_since;
    if (x.owes_client ? too_slow_a_taker(x, waited) : x.wants_body && too_slow_a_sender(x, waited))
        return given_up(x, "min_rate", "the body of the request comes too slowly");
    if (x.worker && x.worker->is(Stream::late)) {
        if (!download.holds_out()) return Ending::timeout;
        download.settle_for_less();
        x.worker_moved = true;
    }
    return std::nullopt;
}

// Whose fault is it that the deadline of the whole request has passed?
Ending Session::overtaken(Exchange& x, const Download& download) {
    if (x.worker && x.upload.complete() && download.all_sent()) return too_late(x);
    return given_up(x, "deadline", "the request was not here whole within its deadline");
}

// The client keeps us waiting.
Ending Session::given_up(Exchange& x, std::string_view reason, std::string_view detail) {
    if (!x.answer_began) x.refusal = {408, reason, detail};
    x.dawdled = x.owes_client;
    return Ending::client_gone;
}

// Moves what can be moved now. An ending: it is over.
std::optional<Ending> Session::move_bytes(Exchange& x, Download& download) {
    if (x.worker) {
        if (!x.upload.complete() && !x.sending_failed)
            if (const auto ending = stream_body(x)) return ending;
        move_request(x);
        // Who has been told already that the connection stays may ask once more.
        if (reactor_.parting() && x.status == 0) x.keep_alive = false;
        for (unsigned i = 0; i < reads_a_move && x.worker->is(Stream::readable) && download.wants_more(); ++i) {
            download.receive();
            x.worker_moved |= !download.awaits_head(); // interim answers, or a head in drops, put nothing off
        }
        if (!download.awaits_head()) forget_patience(x);
        if (!download.nothing_came()) x.upload.spool().give_up_replay(); // who has answered is not asked again
    }
    if (!download.all_sent() && client_.is(Stream::writable)) {
        download.flush();
        x.client_moved = true;
    }
    switch (download.state()) {
    case Download::State::head:
    case Download::State::body: break;
    case Download::State::complete:
        if (x.worker && !download.tunnel()) release_worker(x, download);
        if (download.all_sent()) return Ending::done;
        break;
    case Download::State::closed: return Ending::closed;
    case Download::State::malformed: return Ending::malformed;
    case Download::State::failed_to_send: return Ending::client_gone;
    case Download::State::no_room: return Ending::no_room;
    }
    if (x.worker ? client_left(x) : cut_short()) return Ending::client_gone;
    return std::nullopt;
}

void Session::move_request(Exchange& x) {
    if (x.sending_failed || !request_unsent(x) || !x.worker->is(Stream::writable)) return;
    std::string_view head = x.unsent_head;
    const auto io = x.upload.spool().send_to(*x.worker, head);
    x.unsent_head.erase(0, x.unsent_head.size() - head.size());
    if (io.bytes > 0) x.worker_moved = true;
    if (io.kind == io::Io::failed) {
        // It may have answered before it hung up ("413, and I read no further"): only reading tells.
        x.sending_failed = true;
        x.worker->assume(Stream::readable | Stream::hangup);
    }
}

std::optional<Ending> Session::stream_body(Exchange& x) {
    if (!client_.is(Stream::readable) || x.upload.spool().unread() >= stream_window) return std::nullopt;
    x.upload.read(client_, held_);
    x.client_moved = x.worker_moved = true;
    check_body(x);
    if (x.gone) return Ending::client_gone;
    if (!x.refusal) return std::nullopt;
    // The worker has a part of it already and must not take that for the whole: its connection is closed.
    return Ending::client_gone;
}

Duration Session::time_at_rest(const Exchange& x) const {
    const auto& endpoint = x.permit.endpoint();
    if (!endpoint.keep_alive) return Duration::zero();
    return x.route->target->upstream.idle_timeout.value_or(endpoint.idle_time);
}

void Session::release_worker(Exchange& x, const Download& download) {
    const bool request_complete = x.upload.complete() && !request_unsent(x) && !x.sending_failed;
    if (const auto rest = time_at_rest(x); download.worker_may_be_kept() && rest > Duration::zero() && request_complete)
        reactor_.upstreams.keep(std::move(x.worker), rest);
    x.worker.reset();
    x.upload.spool().clear(); // what the worker did not want is no use to anybody, and its client may read for long
    count_route(x);
    x.held += x.permit.finish(x.status < 500 ? Outcome::success : Outcome::failure);
}

} // namespace plimsoll::net
