// The one door of a pool: decides for each request whether it goes to a worker now, waits, or is refused.
//
//   arrive --free slot--> admitted --depart--> (the slot goes to the head of the queue)
//      |---no slot------> queued   --grant---> admitted
//      |                     |-----expire / leave--> dropped
//      '---bounds hit---> refused (always with a reason)
//
// Which worker: those with a free slot, below the load line before those above it; then least loaded by in flight / slots,
// then lowest pressure in steps of 5 %, then by chance. Above 32 workers two of them are drawn instead of all looked at.
//
// Late binding: a request is given to a worker only when that worker has a free slot, so nothing piles up in a worker's
// own backlog where nobody can see it, move it or give it up. A worker that refused a connection is passed over for a
// moment: its process has died, it is the least loaded of all, and whoever watches processes hears of it a little later. Plain object: no clock, no lock, no thread; the shell holds
// one lock around it (src/net/pool.hpp) and wakes those whom a call granted or dropped.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include "plimsoll/core/bytes.hpp"
#include "plimsoll/core/time.hpp"

namespace plimsoll {

using WorkerKey = std::uint32_t; // one generation of one worker; never used again while the proxy runs
using Ticket = std::uint64_t;    // one waiting request

enum class Priority : std::uint8_t { critical, normal, sheddable };
inline constexpr std::size_t priorities = 3;

enum class Reason : std::uint8_t {
    none,
    rate,
    memory,
    breaker,
    concurrency,
    queue_full,
    queue_timeout,
    deadline,
    no_workers,
    draining,
    maintenance,
};
std::string_view to_string(Reason reason);

enum class Outcome : std::uint8_t { success, failure, timeout, refused_upstream, abandoned };
std::string_view to_string(Outcome outcome);

class Gate {
public:
    struct Settings {
        std::size_t queue_size = 1024; // waiting requests, all priorities together
        Duration queue_timeout = std::chrono::seconds{5};
        Duration rest = std::chrono::milliseconds{100}; // of a worker that refused a connection
        Duration pause = std::chrono::milliseconds{20}; // of a worker that broke one off
        double load_line = 0.85;                        // pressure at which shedding begins
        bool shed_enforced = true;                      // false: decide and count only (shadow)
        friend bool operator==(const Settings&, const Settings&) = default;
    };
    struct Facts {
        Priority priority = Priority::normal;
        Instant deadline = never;
        std::optional<WorkerKey> avoid; // a retry: not the worker that just failed
        double draw = 0.5;              // chance, in [0,1)
        std::optional<std::uint64_t>
            affinity; // the hash of a session: preferably where the others of it went (affinity.hpp)
    };
    struct Arrival {
        enum class Kind : std::uint8_t { admitted, queued, refused } kind = Kind::refused;
        WorkerKey worker = 0;         // admitted
        Ticket ticket = 0;            // queued
        Reason reason = Reason::none; // refused
        Duration retry_after{};       // refused: a hint for the client
    };
    struct Event { // what became of somebody who waited
        Ticket ticket = 0;
        std::optional<WorkerKey> granted; // else refused with `reason`
        Reason reason = Reason::none;
    };
    using Events = std::vector<Event>;
    struct WorkerStats {
        WorkerKey worker = 0;
        unsigned slots = 0, in_flight = 0;
        bool accepting = false;
        std::uint64_t admitted = 0, finished[5] = {}; // by Outcome
    };
    struct Stats {
        std::size_t queued[priorities] = {};
        std::uint64_t admitted = 0, refused[16] = {}, shadow_refused[16] = {}; // by Reason
        std::vector<WorkerStats> workers;
    };

    explicit Gate(Settings settings);
    void configure(const Settings& settings);

    // The fleet's side. A worker is added not accepting; `accept(true)` may grant slots to those who wait.
    // `place` is the hash of its place's name, which its successor will have too.
    void add(WorkerKey worker, unsigned slots, Instant now, std::uint64_t place = 0);
    void set_slots(WorkerKey worker, unsigned slots, Instant now, Events& events);
    void accept(WorkerKey worker, bool accepting, Instant now, Events& events);
    void observe(WorkerKey worker, double pressure, Bytes headroom); // pressure < 0: unknown
    void remove(WorkerKey worker);                                   // permits in flight may still depart afterwards
    unsigned in_flight(WorkerKey worker) const;                      // 0 for an unknown one

    // The request's side.
    // A full queue gives its youngest waiter of a lower priority up for one of a higher: hence the events.
    Arrival arrive(Instant now, const Facts& facts, Events& events);
    void depart(Instant now, WorkerKey worker, Outcome outcome, Events& events);
    // A process that dies closes its connections a moment before its listener: what comes in between is lost with it. Said
    // before the permit departs, so that its slot is given to nobody within that moment.
    void broke_off(Instant now, WorkerKey worker);
    bool leave(Ticket ticket);                // the client went away; false: no longer waiting
    void expire(Instant now, Events& events); // on a tick: queue timeouts and passed deadlines
    Stats stats() const;

private:
    struct Worker {
        WorkerKey key = 0;
        std::uint64_t place = 0;
        unsigned slots = 0, in_flight = 0;
        bool accepting = false, removed = false; // removed: only its last permits keep it here
        double pressure = -1;
        Bytes headroom;
        bool resting = false; // it refused a connection or broke one off: until `rested` nobody goes there
        Instant rested{};
        std::uint64_t admitted = 0, finished[5] = {};
        void rest(Instant until) {
            rested = resting ? std::max(rested, until) : until;
            resting = true;
        }
        bool free() const { return accepting && !resting && in_flight < slots; }
    };
    struct Waiting {
        Ticket ticket = 0;
        Instant arrived{}, deadline = never;
        std::optional<WorkerKey> avoid;
    };

    Worker* find(WorkerKey key);
    const Worker* find(WorkerKey key) const;
    Worker* pick(const Facts& facts);
    Worker* home_of(std::uint64_t affinity, std::optional<WorkerKey> avoid); // null: nobody's, or all too loaded
    void wake_rested(Instant now, Events& events);
    bool memory_sheds(const Facts& facts);
    bool avoidable(WorkerKey worker) const; // another worker accepts too
    bool give_up_a_lower(Priority priority, Events& events);
    void grant(Worker& worker, Events& events); // its free slots to those who wait
    void drop(Priority priority, std::size_t index, Reason reason, Events& events);
    std::size_t waiting() const;

    Settings settings_;
    std::vector<Worker> workers_;
    std::array<std::deque<Waiting>, priorities> queues_;
    Ticket last_ticket_ = 0;
    std::uint64_t admitted_ = 0, refused_[16] = {}, shadow_refused_[16] = {};
};

} // namespace plimsoll
