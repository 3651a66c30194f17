// The one door of a pool: decides for each request whether it goes to a worker now, waits, or is refused.
//
//   arrive --free slot--> admitted --depart--> (the slot goes to the head of the queue)
//      |---no slot------> queued   --grant---> admitted
//      |                     |-----expire / leave--> dropped
//      '---bounds hit---> refused (always with a reason)
//
// The policies are asked in this order, each in a file of its own: deadline, load line (memory), breaker of the route
// (breaker.hpp), room for what it needs (memory_admission.hpp), picker (picker.hpp) among workers that are free (roster.hpp)
// and whose own breakers pass, then the queue (queue.hpp) unless it is hopeless under overload (overload.hpp).
//
// There are two lines to wait in. Those who need much memory, or nobody knows how much, stand in one of their own, so that the
// many who need little pass them by; a slot that comes free is given to the older one of the two who are next.
//
// Late binding: a request is given to a worker only when that worker has a free slot, so nothing piles up in a worker's
// own backlog where nobody can see it, move it or give it up. A worker that refused a connection is passed over for a
// moment: its process has died, it is the least loaded of all, and whoever watches processes hears of it a little later.
//
// A worker whose health checks fail (health.hpp) accepts nothing, as long as a floor of healthy ones is left. Below it the
// checks are believed no longer, and everybody is served by everybody (panic): what fails at all workers is the check,
// or something that no choice among them mends.
//
// Plain object: no clock, no lock, no thread; the shell holds one lock around it (src/net/pool.hpp) and wakes those whom a
// call granted or dropped.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "plimsoll/core/bytes.hpp"
#include "plimsoll/core/decayed.hpp"
#include "plimsoll/core/time.hpp"
#include "plimsoll/policy/breaker.hpp"
#include "plimsoll/policy/load_line.hpp"
#include "plimsoll/policy/memory_admission.hpp"
#include "plimsoll/policy/overload.hpp"
#include "plimsoll/policy/priority.hpp"
#include "plimsoll/policy/queue.hpp"
#include "plimsoll/policy/roster.hpp"
#include "plimsoll/policy/service_time.hpp"
#include "plimsoll/policy/shadow_line.hpp"
#include "plimsoll/policy/sidelined.hpp"
#include "plimsoll/policy/usual_workers.hpp"

namespace plimsoll {

class Gate {
public:
    struct Settings {
        std::size_t queue_size = 1024; // waiting requests, all priorities together
        Duration queue_timeout = std::chrono::seconds{5};
        Duration queue_target{};                        // of the wait under overload; 0: the median service time
        Mode overload_mode = Mode::enforce;             // refusing at once who would wait longer than the target
        Duration rest = std::chrono::milliseconds{100}; // of a worker that refused a connection
        Duration pause = std::chrono::milliseconds{20}; // of a worker that broke one off
        Duration last_rest = std::chrono::seconds{2}; // of one that is known to be ending: by then it has been removed
        LoadLine::Settings load_line;
        double stall_line = 0.2; // share of the time that tasks stall for memory, from which the last brake is on
        Mode memory_mode = Mode::enforce;
        Mode adaptive_mode = Mode::enforce; // of workers with unknown slots; shadow: learned, but `most_slots` hold
        unsigned least_slots = 1, first_slots = 8, most_slots = 200; // of those
        unsigned most_streams = 1000; // of one of those, that hold none of its slots (gate_streams.cpp)
        Breaker::Settings breaker;
        Mode breaker_mode = Mode::enforce; // of workers
        Mode route_mode = Mode::shadow;    // of routes
        double breaker_floor = 0.5; // share of the accepting workers that always pass, breakers and health checks alike
        Mode health_mode = Mode::enforce; // shadow: who is ailing goes on accepting
        Duration slow_start{};
        friend bool operator==(const Settings&, const Settings&) = default;
    };
    struct Facts {
        Priority priority = Priority::normal;
        Instant deadline = never;
        std::optional<WorkerKey> avoid; // a retry: not the worker that just failed
        double draw = 0.5;              // chance, in [0,1)
        RouteKey route = 0;
        CostKey label = 0; // by which memory is learned
        // The hash of a session: preferably where the others of it went (affinity.hpp).
        std::optional<std::uint64_t> affinity;
        Side side = Side::any; // an experiment's wish (picker.hpp)
    };
    // Whose breaker waits to hear how this request goes. Its departure says so again.
    struct Probe {
        bool worker = false, route = false;
    };
    struct Arrival {
        enum class Kind : std::uint8_t { admitted, queued, refused } kind = Kind::refused;
        WorkerKey worker = 0;         // admitted
        Probe probe;                  // admitted
        Ticket ticket = 0;            // queued
        Reason reason = Reason::none; // refused
        Duration retry_after{};       // refused: a hint for the client
    };
    struct Event { // what became of somebody who waited
        Ticket ticket = 0;
        std::optional<WorkerKey> granted; // else refused with `reason`
        Probe probe;                      // granted
        Reason reason = Reason::none;
        Duration retry_after{};
    };
    using Events = std::vector<Event>;
    // How a request ended, and what it tells about the worker and the route.
    struct Departure {
        Departure(Outcome how) : outcome(how) {} // NOLINT: an outcome alone is a departure
        Outcome outcome;
        Duration took{}; // its slot was held so long; 0: not known
        // What the worker does with a request that was given up: it has stopped, goes on with it, or has done all of it.
        enum class Work : std::uint8_t { stopped, goes_on, whole } work = Work::stopped;
        bool paced = false; // by its client, who got the answer as it came: the worker was perhaps not slow
        RouteKey route = 0;
        CostKey label = 0;
        Duration retry_after{}; // the worker asked for a pause
        Probe probe;            // as it was told when it was admitted
    };
    struct BreakerStats {
        Breaker::State state = Breaker::State::passing;
        std::uint64_t trips = 0;
    };
    struct Learned { // of a worker whose slots nobody says
        double slots = 0;
        Duration base{}; // what a request takes there without queueing; 0: not known yet
    };
    struct WorkerStats {
        WorkerKey worker = 0;
        unsigned slots = 0, in_flight = 0;
        bool accepting = false;
        std::uint64_t admitted = 0, finished[outcomes] = {}; // by Outcome
        BreakerStats breaker;
        bool ailing = false;
    };
    // Policies in shadow: what enforce would do without refusing anybody.
    struct Shadow {
        std::uint64_t trips = 0;        // breakers of workers: requests would have gone to other workers
        std::uint64_t memory_waits = 0; // without room for what they need: some would wait in vain (shadow_line.hpp)
        std::uint64_t to_ailing = 0;    // requests that went to a worker whose health checks fail
        std::uint64_t beyond_limit = 0; // and to one that had as many already as it was found to do at once
    };
    struct Stats {
        std::size_t queued[priorities] = {};
        std::uint64_t admitted = 0, refused[reasons] = {}, shadow_refused[reasons] = {}; // by Reason
        std::uint64_t refused_by_priority[priorities] = {};
        Shadow shadow;
        std::size_t memory_waiting = 0; // of the queued, those who need much memory
        Bytes memory_light;             // who needs less is not asked; 0: no limit is known
        bool overloaded = false, memory_shedding = false, shedding_futile = false;
        bool health_panic = false;                     // too many are ailing: all of them accept
        double memory_pressure = -1;                   // what the load line goes by; negative: unknown
        PressureOf memory_cause = PressureOf::unknown; // whose limit it is that near
        double stall = -1;                             // as it was last observed; negative: unknown
        bool stall_shedding = false;
        Duration queue_target{}, service_time{}; // now; service_time: the mean
        std::vector<WorkerStats> workers;
        std::vector<BreakerStats> routes; // by RouteKey
    };

    struct Futile { // shedding that did not lower the memory
        bool is = false;
        PressureOf whose = PressureOf::unknown; // the limit that is near
        Bytes limit;                            // where it is one that workers share
    };

    explicit Gate(Settings settings);
    void configure(const Settings& settings);

    // The fleet's side. A worker is added not accepting; `accept(true)` may grant slots to those who wait.
    // `place` is the hash of its place's name, which its successor will have too.
    // slots 0: nobody says; they are learned (adaptive_limit.hpp).
    void add(WorkerKey worker, unsigned slots, Instant now, std::uint64_t place = 0);
    void set_slots(WorkerKey worker, unsigned slots, Instant now, Events& events);
    void accept(WorkerKey worker, bool accepting, Instant now, Events& events);
    void observe(Instant now, WorkerKey worker, double pressure,
                 const MemorySight& sight = {}); // pressure < 0: unknown
    void observe_domain(DomainKey domain, std::optional<Bytes> use, std::optional<Bytes> limit);
    // What a worker holds is read and begun anew; rose() tells of it.
    void about_to_read(WorkerKey worker);
    // What a worker has held since it was told last. Returns the labels that ran there whose requests are not alike.
    std::vector<CostKey> rose(Instant now, WorkerKey worker, const PeakReading& reading);
    void shows(Instant now, WorkerKey worker, Bytes holds); // now, and requests are in flight
    bool strangers_run(Instant now, WorkerKey worker) const;
    bool quiet(Instant now, WorkerKey worker) const;     // nothing runs there that needs much
    bool needs_memory(Instant now, CostKey label) const; // much of it, or nobody knows how much
    bool worth_reading(Instant now, WorkerKey worker, Instant last_reading, Duration usual) const;
    // About whom the pools that share its memory have to be asked; and what they tell each other.
    bool weighs_now(Instant now, CostKey label) const {
        return settings_.memory_mode != Mode::off && memory_.weighs(now, label);
    }
    void promised_elsewhere(DomainKey domain, Bytes others) { memory_.promised_elsewhere(domain, others); }
    Bytes promised_to_weighty(DomainKey domain) const { return memory_.promised_to_weighty(domain); }
    bool promises_moved() { return memory_.moved(); }
    bool waits_for_memory() const { return memory_line_.size() > 0; }
    bool never_fits(CostKey label) const; // in any worker, even if nobody else were there
    MemoryCosts& costs() { return memory_.costs(); }
    const MemoryAdmission& memory() const { return memory_; }
    const MemoryAdmission::Place* memory_of(WorkerKey worker) const; // null: an unknown one
    void set_homes(std::span<const WorkerKey> homes);                // the others, and who comes later, are away
    // Share of the last while in which everybody on its host, or in its cgroup, waited for memory; negative: unknown.
    void observe_stall(double share) { stall_ = share; }
    void remove(WorkerKey worker);              // permits in flight may still depart afterwards
    unsigned in_flight(WorkerKey worker) const; // with its streams; 0 for an unknown one
    unsigned streams(WorkerKey worker) const;
    unsigned slots(WorkerKey worker) const;                 // now
    std::optional<Learned> learned(WorkerKey worker) const; // nothing: its slots are known
    BreakerStats breaker(WorkerKey worker) const;
    unsigned takes(WorkerKey worker) const; // so many priorities, the highest first (gate_lines.cpp)

    // Health checks (gate_health.cpp). A check holds a slot like a request, and is none: no permit, no time, no breaker.
    // False: none is free, or nobody may be asked there now.
    bool begin_check(WorkerKey worker, Instant now);
    void end_check(WorkerKey worker, Instant now, Events& events);
    void set_ailing(WorkerKey worker, bool ailing, Instant now, Events& events);
    std::uint64_t successes(WorkerKey worker) const; // requests that it answered well, so far

    // The request's side.
    // A full queue gives its youngest waiter of a lower priority up for one of a higher: hence the events.
    Arrival arrive(Instant now, const Facts& asked, Events& events);
    // Whether arrive() would refuse now, as far as can be told without deciding anything: for what costs more than that to ask
    // about a request. The draw must be the same for both.
    bool turns_away(Instant now, const Facts& facts) const;
    void depart(Instant now, WorkerKey worker, const Departure& departure, Events& events);
    // Its answer turned out to be a stream, which may last for hours: it gives its slot back and is only counted. True: so it
    // is, and end_stream() is owed instead of depart(). False: it holds its slot like any other request.
    bool become_stream(Instant now, WorkerKey worker, const Departure& departure, Events& events);
    void end_stream(WorkerKey worker);
    // A process that dies closes its connections a moment before its listener: what comes in between is lost with it. Said
    // before the permit departs, so that its slot is given to nobody within that moment.
    void broke_off(Instant now, WorkerKey worker);
    void is_ending(Instant now, WorkerKey worker); // its process is: nobody goes there any more
    bool leave(Instant now, Ticket ticket);        // the client went away; false: no longer waiting
    void expire(Instant now, Events& events);      // on a tick: queue timeouts and passed deadlines
    std::size_t waiting(Priority priority) const { return queue_.size(priority) + memory_line_.size(priority); }
    Stats stats() const;
    Stats summary() const; // the same without `workers`
    Futile futile_shedding() const;

private:
    const Member*
    roomiest() const; // the one by whose pressure the load line goes; null: nobody accepts, or it is not known
    void erase(Member& member);
    Member* choose(Instant now, const Facts& facts);
    Probe admit(Member& member, Priority priority, CostKey label, RouteKey probed, Instant now);
    void grant(Member& member, Instant now, Events& events); // its free slots to those who wait
    void wake_sidelined(Instant now, Events& events);
    void keep_aside(Member& member, Instant now);           // as long as it rests or is tripped
    void wake(Member& member, Instant now, Events& events); // it may pass again
    void rest(Member& member, Instant now, Duration how_long);
    // Slow start (gate_warming.cpp).
    void begin_warming(Instant now, Member& member);
    void warm_up(Instant now, Events& events);
    bool avoidable(WorkerKey worker, Priority priority) const; // another worker accepts such requests too
    void look_at_lines(Instant now);
    unsigned takes(const Member& member) const;
    bool memory_sheds(Instant now, Facts& facts);
    PressureOf pressure_of(const Member& member, double shared) const; // shared: of what it shares
    double shed_share(const Facts& facts) const;
    LoadLine::Settings stall_settings() const; // of requests like it, for memory

    // Those who need much memory (gate_memory.cpp).
    bool weighs(Instant now, const Facts& facts);
    void weigh_in_shadow(Instant now, const Facts& facts);
    void pass_in_shadow(Instant now);
    ShadowLine::World shadow_world() const;
    void count_in_shadow(const ShadowLine::Refusals& refusals);
    Arrival arrive_weighty(Instant now, const Facts& facts, RouteKey probed, Events& events);
    Arrival wait_for_memory(Instant now, const Facts& facts, RouteKey probed, Events& events);
    Member* choose_with_room(Instant now, const Facts& facts);
    const Queue::Waiting* next_weighty(Instant now, Priority priority, const Member& member);
    bool no_room_for(Instant now, const Queue::Waiting& waiting) const;
    void serve_memory_line(Instant now, Events& events);
    Duration memory_patience() const;

    // Waiting and overload.
    Duration target() const;
    Duration patience(Instant now, Priority priority) const;
    Instant fresh_since(Instant now, Priority priority) const;
    // What this priority and those above it ask for, as times of what is served; at least 1.
    double offered_times(Instant now, Priority priority) const;
    double mildness(Instant now, Priority priority) const;
    Duration expected_wait(Instant now, Priority priority) const;
    Duration rate_memory() const;
    void look_at_queue(Instant now);
    void asked_for_slot(Instant now, Priority priority);
    void took_back(Instant now, const Queue::Waiting& waiting);
    bool hopeless(Instant now, const Facts& facts);
    bool beyond_patience(Instant now, Priority priority) const;
    bool full_for(Priority priority) const;
    bool give_up_a_lower(Priority priority, Instant now, Events& events);
    void drop_stale(Instant now, Events& events);
    void drop_stale_strangers(Instant now, Priority priority, Instant since, Events& events);
    void refused(Priority priority, Reason reason);
    Duration retry_hint(Instant now, double draw) const;
    void tell_dropped(const Queue::Waiting& waiting, Reason reason, Instant now, Events& events);

    // Breakers (gate_breakers.cpp).
    void judge_worker(Instant now, Member& member, Breaker::Result result, const Departure& departure);
    void judge_route(Instant now, Breaker::Result result, const Departure& departure);
    void judge_probe(Instant now, Member& member, const Departure& so_far, Events& events);
    // For how long. `probed` becomes the route where this request is its probe.
    std::optional<Duration> route_refuses(Instant now, RouteKey route, RouteKey& probed);
    bool is_probed(RouteKey route) const;
    void return_probe(RouteKey route); // it never reached a worker; nothing where none is under way
    void forget_breakers_without_judge(const Settings& next);
    bool has_successor(const Member& member) const; // in its place, that accepts already
    bool worse_than_others(Instant now, const Member& member) const;
    bool floor_kept() const; // one worker more may trip
    std::size_t most_tripped() const;
    void keep_floor(Instant now, Events& events);
    Breaker::Result result_of(const Departure& departure) const;

    // Workers with unknown slots (gate_adaptive.cpp).
    unsigned slots_for(Member& member, unsigned told); // as the fleet tells; 0: learned
    unsigned usual_limit() const;
    void learn_slots(Instant now, Member& member, const Departure& departure);
    bool beyond_learned(const Member& member) const;
    void raise_awaited(Instant now, Events& events);

    // Health.
    std::size_t most_out() const; // of the willing, by checks and breakers together
    std::size_t out_by_health() const { return panic_ || settings_.health_mode != Mode::enforce ? 0 : ailing_; }
    bool may_accept(const Member& member) const;
    void set_willing(Member& member, bool willing);
    void judge_health(Instant now, Events& events);

    Settings settings_;
    Roster roster_;
    std::size_t willing_ = 0, ailing_ = 0; // ailing: of the willing
    bool panic_ = false;
    std::vector<WorkerKey> warming_;        // that have just begun to serve beside others
    Sidelined sidelined_;                   // resting or tripped: looked at as time passes
    std::vector<Breaker> routes_;           // by RouteKey
    Window<3> everybody_;                   // results of the whole pool, as breakers count them
    Queue queue_{1, 2}, memory_line_{2, 2}; // one sequence of tickets: odd and even
    LoadLine load_line_, stall_line_;
    double stall_ = -1;
    Overload overload_;
    ServiceTime service_, weighty_service_;
    MemoryAdmission memory_;
    ShadowLine shadow_line_;
    std::array<DecayedCount, priorities> admissions_, offers_;
    UsualWorkers usual_workers_;
    Instant missed_at_{};     // when fewer accepted last
    std::size_t offered_ = 0; // the free worker that the memory line was offered last
    std::uint64_t admitted_ = 0, refused_[reasons] = {}, shadow_refused_[reasons] = {},
                  refused_by_priority_[priorities] = {};
    Shadow shadow_;
};

} // namespace plimsoll
