// The door under load: a virtual clock, model workers and a stream of requests of three priorities around the real Gate.
//
// Requests arrive by a Poisson process whose rate may change in steps; each holds a slot for a service time. What comes out is
// what an operator asks: goodput, the latency of those who were served, who was refused and how quickly he heard of it.
// A recorded trace can be played instead of the Poisson process (trace.hpp).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "plimsoll/policy/gate.hpp"
#include "plimsoll/policy/rate_limit.hpp"
#include "sim/quantile.hpp"

namespace plimsoll::sim {

struct Step { // of the offered load
    Duration length{};
    double load = 1; // as a share of the capacity
};
struct Traced { // one request of a trace
    Duration at{};
    Priority priority = Priority::normal;
    RouteKey route = 0;
    Duration service{};
    std::optional<Duration> deadline{}; // from the arrival on
    Bytes need{};                       // of memory, at its peak; 0: not known, or little
    std::uint64_t client = 0;           // whose it is; 0: not known
    RouteKey label = 0;                 // by which limits may mean it as well; 0: none
};
struct RateLimit {      // as [[route.limit]] has it
    RouteKey route = 0; // 0: whatever the route
    RateRule rate;
    bool by_client = false; // else all requests of the route count together
};
// A request holds what it needs from its beginning to its end; the gate knows the need, and of the rest only readings.
struct MemoryPlan {
    Bytes base;                       // what a worker holds at rest
    std::optional<Bytes> shared, own; // limits: of all workers together, of each
    bool limited() const { return shared || own; }
};

struct Disturbance { // of the fleet, for a while
    enum class Kind : std::uint8_t { away, ailing, failing, stall } kind = Kind::away;
    Duration from{}, to{};
    WorkerKey worker = 1; // not of a stall
};

struct OverloadSettings {
    std::uint64_t seed = 1;
    unsigned workers = 4, slots = 1;
    Duration service = std::chrono::milliseconds{5};
    double spread = 0.2; // of service times: log-normal sigma; 0: constant
    double mix[priorities] = {0.05, 0.65, 0.30};
    std::vector<Step> steps = {{std::chrono::seconds{20}, 1.0}};
    std::vector<Traced> trace;    // instead of steps and service, where not empty
    double client_aborts = 0;     // share of waiting clients that leave
    double failures = 0;          // share of requests that fail
    WorkerKey failing_worker = 0; // all of its requests fail; 0: nobody
    std::vector<Disturbance> disturbances;
    // From then on nobody may be refused, and nobody may wait for longer than that: what disturbed is over.
    std::optional<Duration> calm_from;
    Duration calm_wait = std::chrono::milliseconds{200};
    MemoryPlan memory;       // without a limit nobody is asked for it
    bool watches_all = true; // all workers after each event; else only the one that was granted something
    std::vector<RateLimit> limits;
    Gate::Settings gate;
};

struct Fate {                                                                 // of one priority
    std::uint64_t offered = 0, served = 0, failed = 0, refused = 0, left = 0; // served: failed and late ones too
    std::uint64_t late = 0;                                                   // answered after their deadline
    std::vector<double> latency, refusal_latency;                             // milliseconds
};
struct LimitReport { // of one limit
    std::uint64_t asked = 0, refused = 0;
    std::set<std::uint64_t> clients, refused_clients; // where it counts by client
};
struct MemoryReport {
    Bytes peak, worker_peak;   // what all workers held at once, and what one did
    std::uint64_t weighty = 0; // requests whose need the limits do not take for nothing
    std::uint64_t passed = 0;  // that began though a limit was passed with them
    std::vector<double> waits; // for room while a slot was free, until they began or were refused; milliseconds
};
struct OverloadReport {
    std::string broken; // the first promise that broke; empty: none did
    Fate of[priorities];
    std::map<std::string, std::uint64_t> reasons; // of refusals
    MemoryReport memory;
    std::vector<LimitReport> limits; // in the order of the settings
    double seconds = 0;              // from the first arrival until both the load and the last answer were over
    double worked = 0;               // slot-seconds that went into requests that were served in time
    double slots = 0;                // of all workers
    double capacity = 0;             // requests a second, of the mean service
    double recovered_after = 0;      // seconds from the last step until latencies stayed within 2 * service + target
    std::uint64_t permits_at_end = 0;
    std::uint64_t ticks = 0; // how often the gate was asked who has waited in vain
    // Refused on arrival, and of those whom turns_away() had named before; and those whom it named though they were not
    // refused.
    std::uint64_t refused_at_once = 0, foretold = 0, misjudged = 0;

    // worked / (slots * seconds): the share of the slots' time that served somebody in time, never more than 1; 0 where
    // no time passed. In time, not in requests, since those of a trace are unlike: many cheap ones would be more than the
    // capacity.
    double goodput() const;
    double served_share(Priority priority) const;
    double latency(double quantile) const; // of all who were served, in ms
    double refusal_latency(double quantile) const;
};

OverloadReport run(const OverloadSettings& settings);

} // namespace plimsoll::sim
