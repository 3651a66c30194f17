// What the fleet shows of itself: plain values for the API, the metrics and the command line. Copied whole, on the control
// thread; nothing here points back into the fleet.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plimsoll/core/bytes.hpp"
#include "plimsoll/core/time.hpp"
#include "plimsoll/leak/route_order.hpp"

namespace plimsoll::fleet {

using WallTime = std::chrono::system_clock::time_point;

struct MemoryView {
    std::optional<Bytes> anon, rss, pss, uss, limit; // unset: unknown, never zero
    std::optional<double> pressure;                  // anon (or rss) / limit
    std::optional<WallTime> taken_at;
    std::string source; // "proc", "agent", "cgroup", "none"
};
struct AgentView {
    bool connected = false;
    std::string server, python, version; // "gunicorn 23.0.0 sync", "3.11.7", "0.1.0"
    std::string release;                 // of the application; empty: not known
};
// What the detector says of one worker, or of all that leak alike. Unset: it cannot be said.
struct LeakView {
    std::string kind; // "leaking", "cache", ... (plimsoll/leak/classify.hpp)
    double bytes_per_request = 0, low = 0, high = 0, confidence = 0;
    bool slow = false;
    std::optional<double> requests_to_limit, requests_early, seconds_to_limit, seconds_early;
};
// A part of a leak: what requests with this label leave behind. Several labels where they always come together.
struct RouteShare {
    std::string route; // "GET /orders/{n}", or "GET /a + GET /b"
    double bytes_per_request = 0, low = 0, high = 0;
    double share = 0; // of all growth that routes explain
    leak::Heaviest heaviest = leak::Heaviest::no;
};
// A line whose surviving allocations agree with the growth of the worker that was traced.
struct LeakLine {
    std::string file, function; // function: empty where it is not known
    unsigned line = 0;
    double bytes_per_request = 0;
    std::string route; // whose requests they serve; empty: not known, or they agree with more than one
};
// Of a pool: what varying its traffic for the attribution of a leak came to (plimsoll/leak/experiment.hpp).
struct ExperimentView {
    std::string state; // running, or how the last one ended: answered, spent, slower, over
    unsigned epochs = 0;
    std::uint64_t requests = 0, budget = 0;
    std::uint64_t varied = 0;                                 // requests that came while traffic was varied
    Duration varied_p99{}, control_p99{};                     // 0: not known yet
    std::vector<std::pair<std::string, std::uint64_t>> ended; // how many so, of all that have
};
// Of a pool: workers whose memory (or descriptors, threads) grows in the same way; no worker while the leak's incident is open
// and those that showed it have ended.
struct LeakReport {
    std::string id, pool, what; // what: memory, descriptors, threads, children
    LeakView view;
    std::vector<std::string> workers, incidents;
    std::vector<RouteShare> routes;           // of memory; the heaviest first; empty: not known (yet)
    std::optional<ExperimentView> experiment; // of memory, as of its pool
    std::vector<LeakLine> lines;        // of memory; the one that explains most in front; empty: not known, or C code
    std::string kept_by;                // "shop.orders._seen (dict, 40213 items)"; empty: not known
    std::string mostly;                 // of descriptors, threads, children: "socket, tcp close-wait (412 of 460)"
    unsigned recycles = 0;              // for it, so far
    std::optional<double> closed_after; // requests without it; set while its incident is open and no worker shows it
    std::string since_release, release_before; // that brought it, and the one before, which did not have it; or empty
    std::optional<WallTime> planned_at; // when it is recycled: in a trough of the traffic; unset: no trough is known
    std::string advice, verdict;        // one sentence each, for a human
};
struct HealthView { // what active checks say of one worker
    bool healthy = true;
    unsigned row = 0; // checks in a row that say otherwise
    std::string last; // "answered 200", "no answer in 2 s"; empty: it has not been asked yet
    std::optional<WallTime> last_at;
};
struct LearnedView { // of a worker whose slots nobody says
    double slots = 0;
    double base_seconds = 0; // what a request takes without queueing; 0: not known yet
};
struct WorkerView {
    std::string id, pool, address; // "app-1"; the id is the place, the same over generations
    std::optional<int> pid;
    unsigned generation = 1;
    std::string state; // starting warming serving suspect draining capturing ending stuck failed
    bool addressable = true;
    // Where not addressable: the one line that would fix it. Else, where it has not served yet: what came of the last question.
    std::string advice;
    WallTime started_at{};
    std::uint64_t requests = 0;                     // that we gave it
    std::optional<std::uint64_t> server_requests;   // that its server counts, from everywhere; unset: it does not say
    unsigned in_flight = 0, slots = 0, streams = 0; // streams: beside those in flight
    MemoryView memory;
    std::optional<LeakView> leak;       // unset: not enough was seen
    std::optional<HealthView> health;   // unset: it is not asked
    std::optional<LearnedView> learned; // unset: its slots are known
    AgentView agent;
    std::string breaker; // passing, tripped, probing; empty: it is not in service
    std::uint64_t breaker_trips = 0;
    std::string takes; // the lowest priority that it is given while others have more room; empty: it is not in service
};
struct PoolView {
    std::string name, source;
    bool routed = true; // a route leads to it: whether the proxy is ready hangs on it
    std::size_t queued = 0;
    unsigned serving = 0, min_serving = 0;
    unsigned ailing = 0; // of those that serve: their health checks fail
    std::vector<WorkerView> workers;
    std::vector<LeakReport> leaks;
    std::optional<ExperimentView> experiment; // the one that runs, or the last; unset: there was none
    std::string unjudged;                     // why nothing can be said of its leaks; empty: it can, as far as is known
    std::optional<std::string> alert;         // why recycling stopped, if it did
    std::string recycling;                    // id of the worker being recycled, or empty
    unsigned recycles_last_hour = 0, max_per_hour = 0;
    std::uint64_t recycles_ok = 0, recycles_failed = 0, captures_ok = 0, captures_failed = 0, deaths = 0;
    std::uint64_t trims = 0;                                                // of fragmented heaps
    Bytes trimmed;                                                          // what they gave back
    std::uint64_t checks_passed = 0, checks_failed = 0, checks_skipped = 0; // of health
};

// What an operator's action came to. status is the HTTP status: 202, 404, 409, 429.
struct ActionResult {
    int status = 202;
    std::string incident; // 202, where one was opened
    std::string reason;   // otherwise
    std::optional<Duration> retry_after;
};

} // namespace plimsoll::fleet
