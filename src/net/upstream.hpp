// Connections to workers, as one reactor holds them: last in, first out, so that the fewest stay warm and the rest run into
// their idle time. A resting connection stays in the epoll set: whatever happens to it there (the worker closed it, or sent
// something that nobody asked for) makes it unfit, and it is dropped before anybody could use it. Only what happened since the
// events of this turn were read is not known: so the kernel is asked (0.3 us) for a request that may not be sent again, and for
// every other one if the connection has rested in this turn only, which is used where there is no other. A worker that writes more
// than one answer, in two pieces, would have the second one taken for the answer to somebody else's request. What it writes after
// that look no proxy can tell from an answer.
//
// One that was left in the middle of a request (its client left, or it took too long) is told so, unless the request needs much
// memory, and watched until it says a word or hangs up: a synchronous worker computes to the end whoever listens, and has no free
// slot before that.
//
// None is ever opened ahead of need: a silent connection blocks a sync worker, and delays every worker's exit.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "net/io/stream.hpp"
#include "net/limits.hpp"
#include "net/names.hpp"
#include "net/pool.hpp"
#include "net/stats.hpp"

namespace plimsoll::net {

class Upstreams;

// A request that nobody waits for any more, in a worker that may still be busy with it.
struct Unheard {
    std::shared_ptr<const void> pool; // keeps it for as long as the permit
    Permit permit;
    LimitHold limit_hold; // as long as a slot is busy with it, it is under way
    Outcome outcome;      // which is told when the worker is done
};

class UpstreamConnection final : public io::Stream {
public:
    UpstreamConnection(Upstreams& home, io::Loop& loop, int fd, WorkerKey worker, std::uint32_t answer)
        : Stream(loop, fd), home_(home), worker_(worker), answer_(answer) {}

    WorkerKey worker() const { return worker_; }

private:
    friend class Upstreams;
    void unattended() override;

    Upstreams& home_;
    WorkerKey worker_;
    std::uint32_t answer_;          // of Names, by which its address was last found right; 0 where it is no name's
    std::uint64_t rests_since_ = 0; // round of the poller
    std::optional<Unheard> unheard_;
};

class Upstreams {
public:
    using Connection = std::unique_ptr<UpstreamConnection>;

    Upstreams(io::Loop& loop, ReactorCounters& counters) : loop_(loop), counters_(counters) {}

    struct Name { // of a worker that is given by one
        const Names& names;
        const Address& address;
        std::uint32_t answer;
    };
    // A resting one, or null. `surely`: its worker has not hung up by now, however long it has rested. Those that its name would
    // not lead to as well by now are closed.
    Connection take(WorkerKey worker, bool surely, const Name* name = nullptr);
    void keep(Connection connection, Duration idle_time); // its last response is complete and it asked for no more

    void leave_behind(Connection connection, Unheard unheard, Duration bound);

    struct Opening {
        Connection connection;
        enum class State : std::uint8_t {
            connected,
            connecting,
            busy, // unix backlog is full
            failed,
            no_room // our own: descriptors, ports, memory
        } state = State::failed;
    };
    Opening open(WorkerKey worker, const sockaddr_storage& address, socklen_t length, std::uint32_t answer = 0);
    static bool established(const UpstreamConnection& connection); // writable after `connecting`: did it work?

    void close_idle(WorkerKey worker);
    void close_idle();
    std::size_t idle() const { return idle_count_; }
    std::size_t known_workers() const { return idle_.size(); } // bounded by twice those with resting connections, or 32

    static constexpr std::size_t max_idle = 512; // of one worker, in one reactor

private:
    friend class UpstreamConnection;
    static bool still_right(const Name& name, UpstreamConnection& connection);
    void drop(UpstreamConnection& connection);
    void let_go(UpstreamConnection& connection);
    static void end(const UpstreamConnection& connection, Unheard& unheard);
    std::vector<Connection>& resting_of(WorkerKey worker);
    void count(std::size_t idle);

    io::Loop& loop_;
    ReactorCounters& counters_;
    std::unordered_map<WorkerKey, std::vector<Connection>> idle_;
    std::vector<Connection> left_behind_; // no more than there are slots
    std::size_t idle_count_ = 0;
    std::size_t forget_at_ = least_known; // so many workers
    static constexpr std::size_t least_known = 32;
};

} // namespace plimsoll::net
