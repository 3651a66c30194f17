// One attempt at one worker: lease a connection, send the request, converse (converse.cpp), and decide what comes of a failure.
#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/socket.h>
#include <sys/uio.h>

#include "log/log.hpp"
#include "net/download.hpp"
#include "net/http/uwsgi_packet.hpp"
#include "net/names.hpp"
#include "net/reactor.hpp"
#include "net/session.hpp"

namespace plimsoll::net {

using io::Stream;
using io::until;

namespace {

constexpr unsigned most_attempts = 3;
constexpr unsigned most_deaths = 2;         // a request that two workers died of is not shown to a third
constexpr std::size_t least_buffer = 4'096; // bytes: of a uWSGI whose operator has set no buffer-size
constexpr std::string_view closed_early = "the worker closed the connection before it answered";
constexpr auto busy_pause = std::chrono::milliseconds{5};

Outcome outcome_of(Ending ending) {
    switch (ending) {
    case Ending::client_gone:
    case Ending::impatient: return Outcome::abandoned; // whoever asks for the impossible trips nobody's breaker
    case Ending::connect_refused:
    case Ending::unsent: return Outcome::refused_upstream;
    case Ending::connect_timeout:
    case Ending::timeout:
    case Ending::overdue: return Outcome::timeout;
    case Ending::no_room: return Outcome::abandoned;
    case Ending::closed:
    case Ending::malformed: return Outcome::failure;
    case Ending::done: break;
    }
    return Outcome::success;
}

// A uWSGI hangs up on a head that its buffer does not hold, and nothing but its own log says why.
std::string_view why_closed(const Exchange& x, const Download& download) {
    if (x.uwsgi_bytes <= least_buffer || !download.nothing_came()) return closed_early;
    return x.texts->detail = std::string(closed_early) + "; the request's head takes " + std::to_string(x.uwsgi_bytes) +
                             " bytes: is the server's buffer-size smaller?";
}

http::Refusal refusal_of(Ending ending, const Exchange& x, const Download& download) {
    switch (ending) {
    case Ending::connect_refused: return {502, "upstream_refused", "the worker does not accept connections"};
    case Ending::connect_timeout:
        return {504, "upstream_connect_timeout", "the worker did not accept the connection in time"};
    case Ending::timeout: return {504, "upstream_timeout", "the worker did not answer in time"};
    case Ending::overdue: return {504, "deadline", "the request was not answered within its deadline"};
    case Ending::impatient: return {504, "deadline", "the request was not answered within the client's own deadline"};
    case Ending::malformed: return {502, "upstream_malformed", download.fault().detail};
    case Ending::no_room: return {503, "buffers_full", "this server has no room for this request"};
    case Ending::closed: return {502, "upstream_closed", why_closed(x, download)};
    default: return {502, "upstream_closed", closed_early};
    }
}

} // namespace

io::Task<> Session::attempt(Exchange& x) {
    ++x.attempts;
    Download download(x, client_, reactor_.workspace);
    auto ending = Ending::done;
    heed_patience(x);
    const auto state = lease(x);
    if (state != Lease::ready) {
        const auto since = reactor_.loop.now;
        ending = co_await connect(x, state);
        x.connect_took += reactor_.loop.now - since;
    }
    if (ending == Ending::done) ending = send_request(x);
    // From here on the end of the client's bytes is no reason to stop.
    if (x.route->target->upstream.finish_abandoned && x.upload.complete()) x.half_closed = x.unheard_to_the_end = true;
    if (ending == Ending::done) ending = co_await converse(x, download);
    if (ending == Ending::done && download.tunnel()) ending = co_await tunnel(x);
    conclude(x, ending, download);
}

Session::Lease Session::lease(Exchange& x) {
    const Endpoint& endpoint = x.permit.endpoint();
    x.worker_name = endpoint.worker;
    // After a failure only a new connection tells something about the worker.
    const bool only_once = !http::is_idempotent(x.method) || (x.framing.has_body() && x.upload.streamed());
    std::optional<Upstreams::Name> name;
    if (endpoint.named) {
        Names& names = reactor_.names();
        name.emplace(names, endpoint.address, names.answer(endpoint.address, reactor_.loop.now));
    }
    if (x.attempts == 1) x.worker = reactor_.upstreams.take(endpoint.key, only_once, name ? &*name : nullptr);
    x.reused = x.worker != nullptr;
    if (!x.worker) return open(x);
    reactor_.counters.upstream_reuses.add();
    return Lease::ready;
}

Session::Lease Session::open(Exchange& x) {
    const auto& endpoint = x.permit.endpoint();
    sockaddr_storage address{};
    socklen_t length = 0;
    std::uint32_t answer = 0;
    x.found_at.reset();
    if (!to_sockaddr(endpoint.address, address, length)) {
        const auto found = reactor_.names().find(endpoint.address, address, length, reactor_.loop.now);
        if (found == Names::Answer::pending) return Lease::busy;
        if (found == Names::Answer::unknown) return Lease::failed;
        x.found_at = address;
        answer = reactor_.names().answer(endpoint.address, reactor_.loop.now);
    }
    auto opening = reactor_.upstreams.open(endpoint.key, address, length, answer);
    x.worker = std::move(opening.connection);
    switch (opening.state) {
    case Upstreams::Opening::State::connected: reactor_.counters.upstream_connects.add(); return Lease::ready;
    case Upstreams::Opening::State::connecting: reactor_.counters.upstream_connects.add(); return Lease::connecting;
    case Upstreams::Opening::State::busy: return Lease::busy;
    case Upstreams::Opening::State::no_room: return Lease::no_room;
    case Upstreams::Opening::State::failed: break;
    }
    return Lease::failed;
}

io::Task<Ending> Session::connect(Exchange& x, Lease state) {
    settle(x);
    if (x.refusal) co_return Ending::no_room;
    const auto until_when = reactor_.loop.now + x.route->target->upstream.connect_timeout;
    while (state == Lease::busy) {
        // The backlog of a unix socket is full (the kernel would not tell when it no longer is), or the worker's name is
        // being looked up.
        if (reactor_.loop.now >= until_when) co_return Ending::connect_timeout;
        client_.expect_within(busy_pause);
        co_await until(wakeup_, client_, static_cast<std::uint8_t>(client_end(x) | Stream::late));
        client_.no_deadline();
        if (client_left(x)) co_return Ending::client_gone;
        if (overdue()) co_return too_late(x);
        state = open(x);
    }
    if (state == Lease::failed) co_return Ending::connect_refused;
    if (state == Lease::no_room) co_return Ending::no_room; // nothing that another worker could mend
    if (state == Lease::ready) co_return Ending::done;

    auto& worker = *x.worker;
    worker.attach(wakeup_);
    worker.expect_within(x.route->target->upstream.connect_timeout);
    constexpr std::uint8_t news = Stream::writable | Stream::hangup | Stream::late;
    while (!worker.is(news) && !client_left(x) && !overdue())
        co_await until(wakeup_, client_, client_end(x), worker, news);
    const bool late = worker.is(Stream::late);
    worker.no_deadline();
    if (client_left(x)) co_return Ending::client_gone;
    if (overdue()) co_return too_late(x);
    if (late) co_return Ending::connect_timeout;
    if (!Upstreams::established(worker)) co_return Ending::connect_refused;
    if (x.found_at) reactor_.names().reached(x.permit.endpoint().address, *x.found_at);
    co_return Ending::done;
}

Ending Session::send_request(Exchange& x) {
    const auto& endpoint = x.permit.endpoint();
    auto& out = reactor_.workspace.out;
    // A request that may be sent again keeps its body until the answer is here.
    if (x.framing.has_body() && !x.upload.streamed() && http::is_idempotent(x.method)) {
        x.upload.spool().keep_for_replay();
        settle(x);
        if (x.refusal) return Ending::no_room;
    }
    const auto& head = head_of(x);
    auto about = about_client();
    about.request_id = x.request_id;
    if (snapshot_->trace_share) about.traceparent = x.identity.traceparent();
    about.via = snapshot_->via;
    about.mount = x.mount;
    if (const auto* actions = x.route->actions.get()) {
        about.edits = &actions->request;
        about.stripped = actions->strip_prefix;
    }
    const auto framing = x.upload.framing_to_worker(endpoint.protocol != Protocol::uwsgi);
    std::size_t size = 0;
    x.uwsgi_bytes = 0;
    if (endpoint.protocol == Protocol::uwsgi) {
        if (framing.kind == http::Framing::Kind::chunked) {
            x.refusal = {411, "length_required", "a streamed body for this application needs a Content-Length"};
            return Ending::no_room;
        }
        // The protocol has no interim answers: nobody but us will tell the client to go on.
        if (std::exchange(x.expects_continue, false) && client_.write(http::continue_head).kind != io::Io::done)
            return Ending::client_gone;
        http::UwsgiRequest how;
        how.content_length = framing.length;
        how.path = x.path;
        const auto client = client_of(head);
        how.client = client.address;
        how.client_port = client.port;
        size = http::write_uwsgi_packet(head, about, how, out);
        x.uwsgi_bytes = size > http::uwsgi_packet_header ? size - http::uwsgi_packet_header : 0;
    } else {
        http::ToWorker how;
        how.framing = framing;
        how.path = x.path;
        how.keep_alive = time_at_rest(x) > Duration::zero();
        how.expect = x.expects_continue;
        size = http::write_request_head(head, about, how, out);
        std::size_t more = 0;
        if (size > 0 && framing.kind == http::Framing::Kind::chunked &&
            !x.upload.frame_as_one_chunk(std::span(out).subspan(size), more))
            return Ending::no_room;
        size += more;
    }
    if (size == 0) {
        x.refusal = {431, "head_too_large", "the request's head is too large for a worker"};
        return Ending::no_room;
    }
    x.worker->attach(wakeup_);
    x.sending_failed = false;
    x.sent_at = reactor_.loop.now;
    std::string_view unsent{out.data(), size};
    io::Io io;
    if (x.loose.empty()) {
        io = x.upload.spool().send_to(*x.worker, unsent);
    } else if (size + x.loose.size() <= worth_joining) {
        std::memcpy(out.data() + size, x.loose.data(), x.loose.size());
        io = x.worker->write({out.data(), size + x.loose.size()});
        x.loose.remove_prefix(io.bytes > size ? io.bytes - size : 0);
        unsent.remove_prefix(std::min(io.bytes, size));
    } else {
        iovec parts[] = {{out.data(), size}, {const_cast<char*>(x.loose.data()), x.loose.size()}};
        io = x.worker->write(parts);
        x.loose.remove_prefix(x.loose.size() - parts[1].iov_len);
        unsent.remove_prefix(size - parts[0].iov_len);
    }
    if (io.kind == io::Io::failed && io.bytes == 0) return Ending::unsent;
    x.unsent_head.assign(unsent);
    settle(x); // what is left of a loose body
    if (io.kind == io::Io::failed) x.sending_failed = true;
    return x.refusal ? Ending::no_room : Ending::done;
}

void Session::conclude(Exchange& x, Ending ending, const Download& download) {
    client_.no_deadline();
    forget_patience(x);
    if (ending != Ending::done || download.unheard() || download.tunnel())
        x.answer_bytes -= std::min(x.answer_bytes, download.not_sent());
    const auto worker = x.permit ? std::optional(x.permit.endpoint().key) : std::nullopt;
    const bool still_busy = is_still_busy(x, ending);
    if (may_go_on(x, ending) && !x.answer_began) x.permit.tell_work(Gate::Departure::Work::goes_on);
    if (!still_busy) x.worker.reset();
    if (ending == Ending::done) {
        x.complete = true;
        x.gone = download.unheard();
        count_route(x);
        x.held += x.permit.finish(Outcome::success);
        if (!x.upload.complete() || download.tunnel()) x.keep_alive = false;
        return;
    }
    if (x.found_at && (ending == Ending::connect_refused || ending == Ending::connect_timeout))
        reactor_.names().leave_out(x.permit.endpoint().address, *x.found_at, reactor_.loop.now);
    if (ending == Ending::closed) x.permit.broken_off();
    if (ending == Ending::unsent) x.permit.hung_up();
    if (outcome_of(ending) != Outcome::refused_upstream) count_route(x); // the worker has seen it
    if (still_busy)
        x.held += leave_behind(x, outcome_of(ending));
    else
        x.held += x.permit.finish(outcome_of(ending));
    if (ending != Ending::client_gone && ending != Ending::impatient && ending != Ending::no_room)
        report_failure(x, ending, download);
    if (x.answer_began) {
        x.refusal = {};
        x.abort = true;
        x.gone = ending == Ending::client_gone;
        return;
    }
    if (x.refusal) return;
    if (ending == Ending::client_gone) {
        x.gone = true;
        return;
    }
    if (may_retry(x, ending, download)) {
        x.avoid = worker;
        x.upload.spool().rewind();
        x.unsent_head.clear();
        return;
    }
    x.refusal = refusal_of(ending, x, download);
}

// It has the whole request, and nobody waits for the answer any more.
bool Session::may_go_on(Exchange& x, Ending ending) const {
    const bool left = ending == Ending::client_gone || ending == Ending::timeout || ending == Ending::overdue ||
                      ending == Ending::impatient;
    return left && x.worker && x.upload.complete() && !request_unsent(x) && !x.sending_failed;
}

// A worker whose slots are known serves so many at once and no more: one that goes on with a request is busy with it until it
// answers, whatever we think of it. Those whose slots are learned may notice who leaves, or go on all the same: what needs much
// memory is taken to hold it until they answer, for the next one of its kind might be one too many.
bool Session::is_still_busy(Exchange& x, Ending ending) const {
    return may_go_on(x, ending) && !reactor_.stopping() && !x.worker->is(Stream::hangup) &&
           (x.permit.of_told_slots() || (!x.answer_began && x.permit.needs_memory()));
}

Duration Session::leave_behind(Exchange& x, Outcome outcome) {
    const Duration held = x.permit.held(reactor_.loop.now);
    const auto bound = x.route->target->upstream.response_timeout;
    reactor_.upstreams.leave_behind(std::move(x.worker),
                                    {snapshot_, std::move(x.permit), std::move(x.limit_hold), outcome}, bound);
    return held;
}

void Session::report_failure(const Exchange& x, Ending ending, const Download& download) {
    reactor_.counters.upstream_failures.add();
    std::uint64_t passed_over = 0;
    if (!reactor_.may_warn(passed_over)) return;
    const auto refusal = refusal_of(ending, x, download);
    log::warn("upstream_failed", {{"pool", x.route->target->name},
                                  {"worker", x.worker_name},
                                  {"reason", refusal.reason},
                                  {"detail", refusal.detail},
                                  {"answer_began", x.answer_began},
                                  {"attempt", x.attempts},
                                  {"request_id", x.request_id},
                                  {"not_logged", passed_over}});
}

bool Session::may_retry(Exchange& x, Ending ending, const Download& download) {
    const bool unseen =
        ending == Ending::connect_refused || ending == Ending::connect_timeout || ending == Ending::unsent;
    const bool unanswered = ending == Ending::closed && download.nothing_came() && http::is_idempotent(x.method) &&
                            !request_unsent(x) && !x.sending_failed &&
                            (!x.framing.has_body() || x.upload.spool().replayable());
    // Of what nobody has seen all is here still, however much is to come.
    if (!(unseen || (unanswered && x.upload.complete())) || x.attempts >= most_attempts) return false;
    if (unanswered && !x.reused && ++x.unanswered >= most_deaths) return false;
    auto& pool = *x.route->target->pool;
    x.retry.give_back(); // the one that has failed is over
    x.retry = pool.begin_retry();
    if (!x.retry) return false;
    reactor_.counters.retries.add();
    return true;
}

} // namespace plimsoll::net
