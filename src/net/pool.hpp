// A pool as the reactors and the fleet share it: the pure Gate behind one lock, and the workers' endpoints.
//
// Reactors call arrive() and hold a Permit; the fleet (control thread) adds, drains and removes workers. The lock is held
// for well under a microsecond and never across an await. A waiter is woken on its own reactor: the pool calls
// Waiter::wake, from any thread and without the lock held, and the reactor posts it to itself.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "net/address.hpp"
#include "net/brief_mutex.hpp"
#include "net/cost_labels.hpp"
#include "net/route_counts.hpp"
#include "net/shared_promises.hpp"
#include "net/steering.hpp"
#include "plimsoll/policy/gate.hpp"
#include "plimsoll/policy/retry_budget.hpp"

namespace plimsoll::net {

enum class Protocol : std::uint8_t { http, uwsgi };

// One generation of one worker. Stays valid, at the same place in memory, while a Permit for it is held.
struct Endpoint {
    WorkerKey key = 0;
    std::string worker; // its id in status, logs and metrics: "app-1"
    Address address;
    bool named = false; // the pool sees it: its host is a name, whose addresses may change
    Protocol protocol = Protocol::http;
    bool keep_alive = true;                               // false: one request a connection (gunicorn sync, uwsgi)
    Duration idle_time = std::chrono::milliseconds{1500}; // how long a pooled connection may rest
};

class Pool;

// An endpoint and how many permits hold it.
struct Place {
    Endpoint endpoint;
    std::uint64_t requests = 0;
    unsigned held = 0;
    bool removed = false;
    // Of the worker's process, or the one above it, 0: not to be seen; and the same once it was found on its way out.
    std::atomic<int> pid = 0, ending = 0;
    unsigned broken_off = 0; // in the second that began at broken_since
    Instant broken_since{};
};

// A hold on a slot. Move-only; destroyed unfinished it counts as abandoned, so a slot cannot leak.
class Permit {
public:
    Permit() = default;
    Permit(Pool* pool, Place* place, RouteKey route, CostKey label, Gate::Probe probe, Instant since)
        : pool_(pool), place_(place), route_(route), label_(label), probe_(probe), since_(since) {}
    Permit(Permit&& other) noexcept;
    Permit& operator=(Permit&& other) noexcept;
    ~Permit() {
        if (pool_) finish(Outcome::abandoned);
    }
    explicit operator bool() const { return pool_ != nullptr; }
    const Endpoint& endpoint() const { return place_->endpoint; }
    Duration finish(Outcome outcome); // gives the slot back; afterwards empty. How long it was held
    // The answer goes to the client as it comes, who says how long it takes: where slots are learned it holds none from here
    // on, elsewhere it tells how long slots are held. `endless`: not even that.
    void become_stream(Outcome so_far, bool endless);
    // The worker hung up in the middle of it: if the worker turns out to be dead, this request was in flight when it died.
    void broken_off();
    void hung_up();             // the worker did, as it may: but if it is ending, nobody is sent there any more
    bool of_told_slots() const; // its worker's are known, not learned
    bool needs_memory() const;  // much of it, or nobody knows how much
    void tell_work(Gate::Departure::Work work) { work_ = work; } // of a request that is given up
    Duration held(Instant now) const { return now - since_; }
    void asked_to_pause(Duration pause) { pause_ = pause; } // by the worker's Retry-After

private:
    Pool* pool_ = nullptr;
    Place* place_ = nullptr;
    RouteKey route_ = 0;
    CostKey label_ = 0;
    Gate::Probe probe_;
    Instant since_{};
    Duration pause_{};
    Gate::Departure::Work work_ = Gate::Departure::Work::stopped;
    bool stream_ = false;                  // it holds no slot any more
    bool endless_ = false, paced_ = false; // its answer has no end in sight; its client says how fast it is read

    bool worker_is_ending() const;
    Gate::Departure departure(Outcome outcome, Instant now) const;
};

// A retry that the pool's budget counts as under way; move-only, and empty where there is none.
class RetryHold {
public:
    RetryHold() = default;
    explicit RetryHold(Pool* pool) : pool_(pool) {}
    RetryHold(RetryHold&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)) {}
    RetryHold& operator=(RetryHold&& other) noexcept;
    ~RetryHold() { give_back(); }
    explicit operator bool() const { return pool_ != nullptr; }
    void give_back();

private:
    Pool* pool_ = nullptr;
};

// A health check's hold on a slot of a worker; move-only, and empty where none was free.
class CheckSlot {
public:
    CheckSlot() = default;
    CheckSlot(Pool* pool, WorkerKey worker) : pool_(pool), worker_(worker) {}
    CheckSlot(CheckSlot&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)), worker_(other.worker_) {}
    CheckSlot& operator=(CheckSlot&&) = delete;
    ~CheckSlot() { give_back(); }
    explicit operator bool() const { return pool_ != nullptr; }
    bool of_told_slots() const; // its worker's are known, not learned
    void give_back();

private:
    Pool* pool_ = nullptr;
    WorkerKey worker_ = 0;
};

struct Waiter {
    // Called at most once, on any thread, without the lock: granted (a permit) or refused with a reason and a hint.
    virtual void wake(Permit permit, Reason reason, Duration retry_after) = 0;

protected:
    ~Waiter() = default;
};

class Pool {
public:
    Pool(std::string name, const config::Pool& settings);
    ~Pool();
    const std::string& name() const { return name_; }
    void configure(const config::Pool& settings); // the gate's settings and the upstream timeouts
    std::shared_ptr<const config::Upstream> upstream() const;

    // Reactors.
    struct Arrival {
        Permit permit;                // admitted
        Ticket ticket = 0;            // else waiting, where not 0
        Reason reason = Reason::none; // else refused
        Duration retry_after{};
    };
    // `again`: a request that has asked before, for another worker.
    Arrival arrive(Instant now, const Gate::Facts& facts, Waiter& waiter, bool again = false);
    // Whether a request may be sent once more, by the budget of the pool (retry_budget.hpp); empty: no.
    RetryHold begin_retry();
    struct RetryStats {
        std::uint64_t denied = 0, shadow = 0; // shadow: would have been
    };
    RetryStats retry_stats() const;
    // Its workers are gone for good: who waits is refused (no_workers), and so is whoever still comes.
    void close(Instant now);
    bool turns_away(Instant now, const Gate::Facts& facts) const; // arrive() would refuse now; nothing is counted
    bool leave(Instant now, Ticket ticket);                       // false: wake() was or is being called
    void tick(Instant now);                                       // any reactor, every 10 ms or so
    Gate::Futile futile_shedding() const;
    // The gate's name for a route label, the same over reloads. Beyond most_routes: 0, a route without a breaker.
    RouteKey route_key(std::string_view label);
    std::map<RouteKey, std::string> route_labels() const;
    static constexpr std::size_t most_routes = 1000;
    RouteCounts& route_counts() { return route_counts_; }
    // By which the memory is learned that such requests need; 0 where nobody reads memory.
    bool learns_memory() const { return cost_labels_.on(); }
    CostKey cost_label(std::string_view method, std::string_view target);
    Bytes expected_need(CostKey label) const; // 0: nothing is known of it
    Steering& steering() { return steering_; }

    // The fleet.
    WorkerKey add(Endpoint endpoint, unsigned slots); // not accepting yet; the key is chosen here. slots 0: learned
    void set_slots(WorkerKey worker, unsigned slots);
    void set_process(WorkerKey worker, int pid); // in our own /proc; a static server may come back with another one
    void accept(WorkerKey worker, bool accepting);
    void observe(WorkerKey worker, double pressure, const MemorySight& sight = {});
    void observe_domain(DomainKey domain, std::optional<Bytes> use, std::optional<Bytes> limit);
    // Other pools may live in that domain, too: they count each other's promises from now on, until it is forgotten.
    void share_domain(DomainKey key, const std::shared_ptr<SharedPromises>& table, const std::string& domain);
    void forget_domain(DomainKey key);
    void about_to_read(WorkerKey worker);
    void rose(WorkerKey worker, const PeakReading& reading); // see Gate::rose
    void shows(WorkerKey worker, Bytes holds);
    bool strangers_run(WorkerKey worker) const; // labels of which too little is known
    bool quiet(WorkerKey worker) const;         // nothing runs there that needs much
    bool needs_memory(CostKey label) const;     // much of it, or nobody knows how much
    bool worth_reading(WorkerKey worker, Instant last_reading, Duration usual) const;
    bool waits_for_memory() const;
    struct Need { // of one label
        std::string label;
        Bytes expected, at_first; // at_first: of the first one in its process
        unsigned readings = 0;
        bool never_fits = false; // no worker has room for it even when nobody else is there
    };
    std::vector<Need> needs(std::size_t most) const; // the greatest first
    // Over a restart: what is known of labels (families are guesses), and what an earlier life knew of them.
    std::vector<Need> known_needs() const;
    void recall(std::span<const Need> needs);
    void set_homes(std::span<const WorkerKey> homes); // of an experiment
    void observe_stall(double share);                 // see Gate::observe_stall
    unsigned slots(WorkerKey worker) const;
    std::optional<Gate::Learned> learned(WorkerKey worker) const;
    void remove(WorkerKey worker);              // its Endpoint goes when its last permit has
    unsigned in_flight(WorkerKey worker) const; // with its streams
    unsigned streams(WorkerKey worker) const;
    std::uint64_t requests(WorkerKey worker) const; // admitted so far
    Gate::BreakerStats breaker(WorkerKey worker) const;
    Priority takes(WorkerKey worker) const;  // the lowest that it is given while others are better off
    CheckSlot begin_check(WorkerKey worker); // empty: no slot is free, or it is asked already
    void set_ailing(WorkerKey worker, bool ailing);
    std::uint64_t successes(WorkerKey worker) const; // requests that it answered well
    // Requests in whose middle the worker hung up within the last second: reactors may hear of a death before the fleet does.
    unsigned broken_off(WorkerKey worker) const;
    Gate::Stats stats() const;
    Gate::Stats summary() const; // the same without `workers`: the lock is held as long for a thousand as for one

private:
    friend class Permit;
    friend class CheckSlot;
    friend class RetryHold;
    static constexpr Duration recent = std::chrono::seconds{1};
    struct Woken { // whom a call woke: told after the lock was given back
        Waiter* waiter;
        Permit permit;
        Reason reason;
        Duration retry_after;
    };
    using Wakes = std::vector<Woken>;
    template <class Decision>
    void decide(Instant now, Decision decision);
    bool become_stream(Instant now, const Place& place, const Gate::Departure& departure);
    void end_stream(Place& place);
    void end_check(WorkerKey worker);
    void end_retry();
    void depart(Instant now, Place& place, const Gate::Departure& departure);
    struct Waits {
        Waiter* waiter;
        RouteKey route;
        CostKey label;
    };
    Permit hold(WorkerKey worker, RouteKey route, CostKey label, Gate::Probe probe, Instant now); // with the lock held
    void let_go(Place& place);                                                                    // with the lock held
    void take(const Gate::Events& events, Instant now, Wakes& wakes);                             // with the lock held
    static void tell(Wakes& wakes);                                                               // without
    std::vector<std::pair<CostKey, Need>> needs_of(CostKey most_key, unsigned least_readings) const;

    const std::string name_;
    RouteCounts route_counts_;
    CostLabels cost_labels_;
    Steering steering_;
    mutable BriefMutex mutex_; // guards all below
    Gate gate_;
    PoolPromises promises_;
    std::unordered_map<WorkerKey, std::unique_ptr<Place>> places_;
    std::unordered_map<Ticket, Waits> waiters_;
    bool closed_ = false;
    std::shared_ptr<const config::Upstream> upstream_;
    RetryBudget retry_budget_;
    Mode retry_mode_ = Mode::enforce;
    RetryStats retry_stats_;

    mutable std::mutex routes_mutex_; // guards routes_, which no request looks at
    std::map<std::string, RouteKey, std::less<>> routes_;
};

} // namespace plimsoll::net
