// After 101 both sides speak a protocol that is none of our business: bytes go through, either way, until both have ended
// or nothing moved for too long, or the tunnel has reached its deadline.
#include "net/download.hpp"
#include "net/reactor.hpp"
#include "net/session.hpp"

namespace plimsoll::net {

using io::Stream;
using io::until;

namespace {

// One direction. What `to` does not take waits in the spool, and meanwhile `from` is not read.
struct Flow {
    Stream& from;
    Stream& to;
    io::Spool& waiting;
    std::uint64_t& bytes;   // that `from` said
    bool ended = false;     // `from` has said all it had to say
    bool passed_on = false; // and `to` knows
    bool broken = false;

    bool move() {
        bool moved = false;
        if (!waiting.empty() && to.is(Stream::writable)) moved |= note(waiting.send_to(to));
        if (!ended && waiting.empty() && from.is(Stream::readable)) {
            char* scratch = from.loop().scratch();
            const auto io = from.read(scratch, from.loop().read_size());
            if (io.kind == io::Io::closed) ended = true;
            if (io.kind == io::Io::failed) broken = true;
            if (io.kind == io::Io::done) {
                moved = true;
                bytes += io.bytes;
                const auto sent = to.write({scratch, io.bytes});
                note(sent);
                if (sent.bytes < io.bytes && !waiting.append({scratch + sent.bytes, io.bytes - sent.bytes}))
                    broken = true;
            }
        }
        if (ended && waiting.empty() && !passed_on) {
            to.finish_writing();
            passed_on = true;
        }
        return moved;
    }
    bool note(const io::Io& io) {
        if (io.kind == io::Io::failed || io.kind == io::Io::closed) broken = true;
        return io.bytes > 0;
    }
    std::uint8_t wants_from() const { return !ended && waiting.empty() ? Stream::readable : 0; }
    std::uint8_t wants_to() const { return waiting.empty() ? 0 : Stream::writable; }
};

} // namespace

io::Task<Ending> Session::tunnel(Exchange& x) {
    busy_ = Busy::tunnel;
    reactor_.counters.upgrades.add();
    auto& worker = *x.worker;
    const auto idle = x.route->target->upstream.upgrade_idle_timeout;
    auto& to_worker = x.upload.spool();
    to_worker.clear();
    to_worker.limit({.overdraws = true});
    if (!to_worker.append(held_.view())) co_return Ending::no_room;
    x.tunnelled = held_.size(); // it did not wait for the 101
    held_.release();
    Flow up{client_, worker, to_worker, x.tunnelled}, down{worker, client_, x.outbox, x.answer_bytes};
    worker.expect_within(idle);
    deadline_.stop(); // of the request; a tunnel has one of its own
    if (const auto bound = x.route->target->upstream.upgrade_deadline) deadline_.set(*bound);
    for (unsigned in_a_row = 0;;) {
        const bool moved_up = up.move(), moved_down = down.move();
        if (up.broken || down.broken || cut_short() || overdue()) break;
        if (up.passed_on && down.passed_on) break;
        if (moved_up || moved_down) worker.expect_within(idle);
        const auto client_marks = static_cast<std::uint8_t>(up.wants_from() | down.wants_to());
        const auto worker_marks = static_cast<std::uint8_t>(down.wants_from() | up.wants_to() | Stream::late);
        until ready(wakeup_, client_, client_marks, worker, worker_marks);
        if (!ready.await_ready()) {
            in_a_row = 0;
            co_await ready;
        } else if (++in_a_row == 16) {
            in_a_row = 0;
            co_await io::next_turn(wakeup_);
        }
        if (worker.is(Stream::late)) break;
    }
    // Whoever broke it off: the upgrade itself had succeeded.
    co_return Ending::done;
}

} // namespace plimsoll::net
