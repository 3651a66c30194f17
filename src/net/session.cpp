#include "net/session.hpp"

#include <algorithm>
#include <cstring>

#include "config/values.hpp"
#include "log/log.hpp"
#include "net/http/rewrite.hpp"
#include "net/http/target.hpp"
#include "net/reactor.hpp"

namespace plimsoll::net {

using io::Stream;
using io::until;

namespace {

// Enough for nearly every head. More is read at once only of a client that sends bodies, and while there is room for what may
// follow them.
constexpr std::size_t first_of_request = 8 << 10;
constexpr unsigned requests_a_turn = 16;                        // of one client that never makes us wait
constexpr auto second_thoughts = std::chrono::milliseconds{50}; // nobody hangs up on his own request sooner
constexpr std::size_t longest_noted = 2 << 10;
constexpr unsigned discards_a_turn = 16;
constexpr auto linger_silence = std::chrono::seconds{2}, linger_time = std::chrono::seconds{30};
constexpr std::size_t linger_bytes = 256 << 20;

// Of a head that is refused, or never came whole: what it asked for, as far as that is known, for the log; and whether by
// HEAD, since that answer has no body.
void note_what_was_asked(Exchange& x, std::string_view bytes) {
    bytes.remove_prefix(std::min(bytes.find_first_not_of("\r\n"), bytes.size()));
    x.head.assign(bytes.substr(0, std::min(bytes.find_first_of("\r\n"), longest_noted)));
    if (x.head.starts_with("HEAD ")) x.method = http::Method::head;
}

http::Identity new_identity(Reactor& reactor, double trace_share) {
    return http::Identity({reactor.random(), reactor.random(), reactor.random()}, trace_share);
}

} // namespace

Session::Session(Reactor& reactor, int fd, unsigned listener, std::string peer, std::uint16_t port,
                 Clients::Place place)
    : reactor_(reactor), wakeup_(reactor.loop.runnable), client_(reactor.loop, fd), deadline_(reactor.loop, wakeup_),
      admission_(reactor, wakeup_), place_(std::move(place)), peer_(std::move(peer)), held_(reactor.loop.buffers),
      listener_(listener), peer_port_(port) {
    client_.attach(wakeup_);
    reactor_.joined(*this);
}

Session::~Session() { reactor_.left(*this); }

void Session::start(Reactor& reactor, int fd, unsigned listener, std::string peer, std::uint16_t port,
                    Clients::Place place) {
    run(std::unique_ptr<Session>(new Session(reactor, fd, listener, std::move(peer), port, std::move(place))));
}

io::Detached Session::run(std::unique_ptr<Session> self) {
    try {
        co_await self->serve();
    } catch (const std::exception& error) {
        log::error("session_failed", {{"client", self->peer_}, {"error", error.what()}});
    }
}

void Session::leave() { client_.expect_within(Reactor::last_chance); }

bool Session::make_way() {
    if (cut_short() || client_.is(Stream::readable | Stream::late)) return false;
    if (client_.has_news()) return false; // closing would reset it
    wakeup_.signal(io::Wakeup::cut);
    return true;
}

Session::Busy Session::cut() {
    client_.cut();
    wakeup_.signal(io::Wakeup::cut);
    return busy_;
}

const config::Listener& Session::listener() const { return snapshot_->listeners[listener_]; }

http::Limits Session::limits() const {
    static_assert(config::Listener::largest_head < io::Loop::scratch_size, "a head is read into one buffer");
    static_assert(config::Listener::most_fields == http::max_fields_ever);
    return {static_cast<std::size_t>(listener().max_header.count), listener().max_fields,
            static_cast<std::size_t>(listener().max_target.count)};
}

void Session::use_newest_snapshot() {
    if (snapshot_ && snapshot_->generation == reactor_.generation()) return;
    snapshot_ = reactor_.snapshot();
    trusted_ = !unknown_client_ && snapshot_->trusted().trusts(peer_);
}

io::Task<> Session::serve() {
    use_newest_snapshot();
    if (listener().proxy_protocol) {
        const bool introduced = co_await read_proxy_header();
        if (!introduced) co_return;
    }
    for (unsigned in_a_row = 0;; ++in_a_row) {
        if (!begun() && !client_.is(Stream::readable)) {
            reactor_.rests(*this, true);
            give_up_empty_lines();
            use_newest_snapshot();
            const Duration span = reactor_.stopping() ? Reactor::last_chance : listener().idle_timeout;
            rests_until_ = std::min(rests_until_, reactor_.loop.now + span);
            client_.expect_within(std::max(rests_until_ - reactor_.loop.now, Duration::zero()));
            co_await until(wakeup_, client_, Stream::readable | Stream::late);
            reactor_.rests(*this, false);
            if (cut_short()) co_return;
            if (!client_.is(Stream::readable)) co_return; // late: it rests
            client_.no_deadline();
            in_a_row = 0;
        } else if (in_a_row == requests_a_turn) {
            co_await io::next_turn(wakeup_);
            in_a_row = 0;
        }
        use_newest_snapshot();
        kept_ = co_await serve_one();
        busy_ = Busy::no;
        if (!kept_) co_return;
    }
}

io::Task<bool> Session::serve_one() {
    Exchange x(reactor_.loop, reactor_.workspace, *snapshot_,
               new_identity(reactor_, snapshot_->trace_share.value_or(0)));
    co_await read_head(x);
    if (x.nothing) co_return true;
    rests_until_ = Instant::max();
    if (x.open()) busy_ = Busy::request;
    if (x.open()) find_route(x);
    if (x.open() && !x.upload.complete() && !x.upload.streamed()) co_await read_body(x);
    if (x.page && x.to_ask) co_await ask_redis(x);
    while (x.open()) {
        if (x.to_ask && !turned_away(x)) co_await ask_redis(x);
        if (!x.open()) break;
        if (!try_admit(x)) co_await wait_for_slot(x);
        if (x.open() && x.to_ask) co_await ask_redis(x); // the gate has changed its mind
        if (x.open()) co_await attempt(x);
    }
    deadline_.stop();
    x.upload.spool().clear(); // no worker will be shown it, and the client may take its time over what it is told now
    if (x.page)
        co_await answer_with_page(x);
    else if (x.refusal)
        co_await answer_refusal(x);
    else if (x.last_hop && !x.gone)
        co_await answer_as_last_hop(x);
    account(x);
    if (x.abort) break_off(x);
    if (x.gone || x.abort) co_return false;
    if (x.keep_alive) co_return true;
    x.limit_hold.give_back(); // nothing is under way any more, however long the client goes on
    // Closing over bytes that nobody read resets the connection, and may take the answer away from the client.
    if (!x.upload.complete() || x.refusal || x.page || client_.is(Stream::readable)) co_await linger();
    co_return false;
}

io::Task<> Session::read_head(Exchange& x) {
    std::size_t seen = 0;
    const auto first_byte = reactor_.loop.now; // serve() waits for it; of a new client it is when it was accepted
    bool over = !held_.empty() && parse_held(x, seen);
    while (!over) {
        if (!client_.is(Stream::readable)) {
            if (kept_ && !begun()) { // serve() waits for that
                x.nothing = true;
                co_return;
            }
            reactor_.rests(*this, held_.empty()); // it has not begun
            if (!io::Deadlines::armed(client_))
                client_.expect_within(idle_ && reactor_.stopping() ? Reactor::last_chance : listener().header_timeout);
            co_await until(wakeup_, client_, Stream::readable | Stream::late);
            reactor_.rests(*this, false);
            if (cut_short()) x.gone = true;
            if (!x.gone && client_.is(Stream::late)) {
                if (held_.empty()) x.gone = true; // it never said a word: there is nothing to answer
                if (!x.gone) x.refusal = {408, "request_timeout", "the head of the request did not arrive in time"};
            }
            if (!x.open()) break;
        }
        char* scratch = reactor_.loop.scratch();
        const bool more = sends_bodies_ && !reactor_.loop.buffers.full();
        const auto io = client_.read(scratch, more ? io::Loop::scratch_size : first_of_request);
        if (io.kind == io::Io::blocked) continue;
        if (io.kind == io::Io::closed && begun()) x.refusal = request_incomplete;
        if (io.kind != io::Io::done) {
            x.gone = !x.refusal;
            break;
        }
        const std::string_view bytes{scratch, io.bytes};
        if (held_.empty()) {
            held_.release();
            over = parse_head(x, bytes, 0);
            seen = io.bytes;
            if (!over) held_.append(bytes);
        } else {
            held_.append(bytes);
            over = parse_held(x, seen);
        }
    }
    if (!over && x.refusal) note_what_was_asked(x, held_.view());
    client_.no_deadline();
    x.began = reactor_.loop.now;
    x.head_took = x.began - first_byte;
}

// Empty lines behind a request are not the beginning of another (RFC 9112, 2.2).
bool Session::begun() const {
    return kept_ ? held_.view().find_first_not_of("\r\n") != std::string_view::npos : !held_.empty();
}

// But for the half of one: its end would be taken for the beginning of a request.
void Session::give_up_empty_lines() {
    const bool half = held_.view().ends_with('\r');
    held_.assign(half ? "\r" : "");
}

// Where it lies: of many small requests at once none is moved for the one before it.
bool Session::parse_held(Exchange& x, std::size_t& seen) {
    reactor_.loop.outdate(); // what is parsed there takes the place of what was parsed in the scratch buffer
    return parse_head(x, held_.view(), std::exchange(seen, held_.size()));
}

// True: there is a head, or a refusal.
bool Session::parse_head(Exchange& x, std::string_view bytes, std::size_t seen) {
    auto& head = reactor_.workspace.request;
    const auto parsed = http::parse_request(bytes, seen, limits(), head);
    if (parsed.state == http::Parsed::State::need_more) return false;
    if (parsed.state == http::Parsed::State::error) {
        x.refusal = parsed.refusal;
        note_what_was_asked(x, bytes);
        return true;
    }
    x.head.assign(head.bytes); // without the empty lines that a client may send before it
    x.parsed_at = reactor_.loop.scratch_age();
    if (trusted_)
        if (const auto told = http::told_request_id(head, about_client()); !told.empty())
            x.request_id = {x.head.data() + (told.data() - head.bytes.data()), told.size()};
    x.method = head.method;
    x.framing = head.framing;
    x.minor = head.minor;
    x.upgrade_to = head.upgrade_to;
    sends_bodies_ = head.framing.has_body();
    x.keep_alive = head.keep_alive && !reactor_.parting();
    x.expects_continue = head.expect_continue;
    x.loose = bytes.substr(parsed.size);
    return true;
}

const http::RequestHead& Session::head_of(Exchange& x) {
    auto& head = reactor_.workspace.request;
    if (x.parsed_at == reactor_.loop.scratch_age()) return head;
    http::parse_request(x.head, 0, limits(), head); // accepted once, so accepted again
    reactor_.loop.outdate();                        // whose head was there must not take this one for it
    x.parsed_at = reactor_.loop.scratch_age();
    return head;
}

http::Forwarding Session::about_client() const {
    http::Forwarding about;
    about.peer = peer_;
    about.trusted = trusted_;
    about.trusted_fields = &snapshot_->trusted_fields();
    about.claims = &snapshot_->claims();
    return about;
}

// Whose request it is. What a trusted peer tells counts; behind a balancer that says it does not know its client nothing does.
http::Client Session::client_of(const http::RequestHead& head) const {
    const http::Client peer{peer_, peer_port_};
    const bool told = trusted_ && snapshot_->claims().hold(http::FieldName::x_forwarded_for);
    return told ? snapshot_->trusted().client(peer, head.fields) : peer;
}

void Session::find_route(Exchange& x) {
    const auto& head = head_of(x);
    // What applies to the whole server is routed as its root.
    const auto path = head.path == "*" ? std::string_view("/") : http::routing_path(head.path, reactor_.workspace.out);
    if (!path.empty()) x.route = snapshot_->find({head.host, path, head.method_text, &head.fields});
    x.series = x.route ? x.route->series : &snapshot_->unrouted();
    begin_body(x);
    if (!path.empty() && path == listener().health_path && head.path != "*") return tell_health(x);
    if (path.empty())
        x.refusal = {400, "bad_target", "the path of the request climbs above the root"};
    else if (!x.route)
        x.refusal = {404, "no_route", "no route matches this request"};
    else if (x.route->closed)
        close_for(x, *x.route->closed);
    else if (!x.route->has_page() && (!x.route->target || !x.route->target->pool))
        x.refusal = {503, "no_pool", "the pool of this route does not exist"};
    else if (head.last_hop)
        x.last_hop = true;
    if (x.refusal || x.last_hop) return;
    read_wishes(x, head);
    if (!x.route->limits.empty()) check_limits(x, head, path);
    if (x.open() && x.route->actions) take_actions(x, head, path);
    if (x.open() && path.data() != head.path.data() && x.path.empty()) disambiguate(x, head, path);
    if (!x.open()) return;
    if (const auto bound = x.route->rule.deadline ? x.route->rule.deadline : x.route->target->upstream.deadline) {
        deadline_.set(*bound);
        x.bound = x.began + *bound;
        x.deadline = std::min(x.deadline, x.bound);
    }
}

// Applications differ in whether they resolve dots and merge slashes; escapes nearly all of them decode. Where one of these readings
// is another route's, they get the path that we went by.
void Session::disambiguate(Exchange& x, const http::RequestHead& head, std::string_view resolved) {
    if (head.path == "*" || x.page) return; // the whole server has no other name
    const auto is_anothers = [&](std::string_view path) {
        return snapshot_->find({head.host, path, head.method_text, &head.fields}) != x.route;
    };
    if (http::decoded_size(head.path) != resolved.size()) { // else to decode it is to resolve it
        std::string read(head.path.size(), '\0');
        read.resize(http::decode_escapes(head.path, read.data()));
        std::string merged = read, by_the_letter = read, dots_first(head.path);
        http::drop_empty_segments(merged);
        http::remove_dot_segments(by_the_letter);
        http::decode_dots(dots_first);
        std::string all_first = dots_first;
        http::drop_empty_segments(all_first);
        for (std::string* path : {&dots_first, &all_first}) {
            http::remove_dot_segments(*path);
            path->resize(http::decode_escapes(*path, path->data()));
        }
        if (is_anothers(read) || is_anothers(merged) || is_anothers(by_the_letter) || is_anothers(dots_first) ||
            is_anothers(all_first)) {
            x.path = http::escaped_path(resolved);
            return;
        }
    }
    if (is_anothers(head.path)) x.path = http::rewritten_path(head.path, resolved, {}, {});
}

// How urgent the request is, and until when an answer is of use.
void Session::read_wishes(Exchange& x, const http::RequestHead& head) {
    x.priority = x.route->rule.priority;
    if (trusted_ && !snapshot_->priority_header.empty())
        for (const auto& [name, priority] : config::names(Priority{}))
            if (http::iequals(head.fields.value(snapshot_->priority_header), name)) x.priority = priority;
    if (snapshot_->deadline_header.empty()) return;
    const auto* wish = head.fields.find(snapshot_->deadline_header);
    if (!wish) return;
    if (const auto patience = http::parse_seconds(wish->value)) x.deadline = x.began + *patience;
}

void Session::check_limits(Exchange& x, const http::RequestHead& head, std::string_view path) {
    std::string label;
    if (x.route->limit_labels) label = x.route->limit_labels->of(head.method_text, path);
    const LimitedRequest request{client_of(head).address, path, head.query, label, head.fields};
    LimitsUnderWay under_way;
    heed(x, reactor_.limits().judge(reactor_.loop.now, x.route->limits, request, x.limit_hold, under_way), 0);
    if (!under_way.shared.empty()) x.to_ask = std::make_unique<LimitsUnderWay>(std::move(under_way));
}

// `told`: so much of our own fields is what the limits said before.
void Session::heed(Exchange& x, const LimitVerdict& verdict, std::size_t told) {
    x.own_fields.replace(0, told, verdict.fields);
    const auto pool = x.route->target ? x.route->target->name : std::string_view{};
    for (const auto reason : verdict.shadow) reactor_.counters.refused(pool, reason, "shadow");
    x.refusal = verdict.refusal;
    x.retry_after = verdict.of_many ? spread_upwards(verdict.retry_after, reactor_.draw()) : verdict.retry_after;
}

// What the end of a client's bytes means. In the middle of the request: that it will never be whole. So close behind it that
// nobody can have changed his mind: that the client only finished writing. Later: that it left.
bool Session::client_left(Exchange& x) {
    if (cut_short()) return true;
    if (client_.is(Stream::gone) && !x.unheard_to_the_end) return true;
    if (x.half_closed || !client_.is(Stream::hangup)) return false;
    if (x.upload.complete()) {
        // A thread that was kept from its work sees both late, and far apart: then the kernel knows better.
        x.half_closed = reactor_.loop.now - x.whole_at <= second_thoughts || client_.ended_within(second_thoughts);
        return !x.half_closed;
    }
    if (!x.upload.lacks_more_than(client_.unread())) return false; // reading will tell
    x.refusal = request_incomplete;
    return true;
}

std::uint8_t Session::client_end(const Exchange& x) const {
    if (!x.half_closed && !client_.is(Stream::hangup)) return Stream::hangup;
    return x.unheard_to_the_end || client_.is(Stream::gone) ? std::uint8_t{0} : std::uint8_t{Stream::gone};
}

void Session::break_off(const Exchange& x) {
    // Where the end of the connection is the end of the body, only a reset tells the client that this is not it. And one that
    // did not take its answer would leave it with the kernel, megabytes of it, for as long as it likes.
    if (x.answer_framing.kind == http::Framing::Kind::until_close || x.dawdled) client_.end_with_reset();
}

// Most clients read when they have sent all, and a reset may take away what they have not read yet.
io::Task<> Session::linger() {
    busy_ = Busy::no; // the answer is out
    client_.finish_writing();
    const auto since = reactor_.loop.now;
    std::size_t read = 0;
    for (unsigned in_a_row = 0; read < linger_bytes;) {
        if (!client_.is(Stream::readable)) {
            client_.expect_within(linger_silence);
            co_await until(wakeup_, client_, Stream::readable | Stream::late);
            if (client_.is(Stream::late)) co_return;
            client_.no_deadline();
            in_a_row = 0;
        } else if (++in_a_row == discards_a_turn) {
            co_await io::next_turn(wakeup_);
            in_a_row = 0;
        }
        if (cut_short() || reactor_.loop.now - since > (reactor_.stopping() ? linger_silence : linger_time)) co_return;
        const auto io = client_.read(reactor_.loop.scratch(), io::Loop::scratch_size);
        if (io.kind == io::Io::closed || io.kind == io::Io::failed) co_return;
        read += io.bytes;
    }
}

} // namespace plimsoll::net
