// The data plane as the rest of the program sees it: reactors, each a thread with its own io_context, its own listening
// sockets (SO_REUSEPORT) and its own upstream connections. The byte path shares nothing but the pools.
//
//   Server -- owns N --> Reactor -- spawns --> session (one coroutine a client connection)
//      '-- swaps whole --> Routing (immutable) --> net::Pool --> Endpoint
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "net/pool.hpp"

namespace plimsoll::net {

using Pools = std::map<std::string, std::shared_ptr<Pool>>;

// Latency in seconds; cumulative counts are made by the reader. Bounds of the buckets: 1 ms .. 60 s, the last is +Inf.
inline constexpr std::array<double, 14> latency_bounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                          0.25,  0.5,    1,     2.5,  5,     10,   60};
struct Histogram {
    std::array<std::uint64_t, latency_bounds.size() + 1> counts{};
    std::uint64_t count = 0;
    double sum_seconds = 0;
};
struct RouteStats { // one route label of one pool; pool is empty for 404s
    std::string pool, route;
    std::array<std::uint64_t, 6> by_class{}; // [2] = 2xx; [0]: the client went away before an answer
    Histogram seconds;
    std::uint64_t request_bytes = 0, response_bytes = 0; // bodies
};
struct QueueStats { // of one pool
    std::string pool;
    std::array<Histogram, priorities>
        seconds;            // that requests waited, those that had to: admitted, refused or gone then
    std::uint64_t left = 0; // whose client went away meanwhile
};
struct RefusalStats {
    std::string pool, reason, mode; // reason as in the answer's X-Plimsoll-Reason; mode: enforce, shadow
    std::uint64_t count = 0;
};
struct LimitStats {                 // one [[route.limit]]
    std::string pool, route, limit; // its name, or what it counts by: "client", "client+path"
    std::uint64_t passed = 0, refused = 0, shadow = 0;
    std::optional<config::Limit> terms; // unset: no route has it any more, or it is off
};
struct GateStats { // of one pool
    std::string pool;
    bool overloaded = false, memory_shedding = false, shedding_futile = false;
    bool health_panic = false;   // so many workers fail their checks that all are served
    std::optional<double> stall; // share of the time that tasks stall for memory; unset: unknown
    bool stall_shedding = false;
    std::optional<double> memory_pressure;           // what the load line goes by
    double target_seconds = 0, service_seconds = 0;  // the wait that is aimed at; how long a slot is held
    std::array<std::uint64_t, priorities> refused{}; // by priority: critical, normal, sheddable
    std::array<std::size_t, priorities> queued{};    // likewise, now
    struct RouteBreaker {
        std::string route, state;
        std::uint64_t trips = 0;
    };
    Pool::RetryStats retries;
    Gate::Shadow shadow;
    std::vector<RouteBreaker> breakers; // of routes that have had a request
    std::size_t memory_waiting = 0;     // of those who queue: for room, because they need much memory
    struct MemoryNeed {
        std::string label; // "GET /reports/{n}"
        Bytes expected;    // at its peak
        Bytes at_first;    // the same of the first one in a process
        unsigned readings = 0;
        bool much = false;       // enough to be asked whether there is room for it
        bool never_fits = false; // in any worker
    };
    std::vector<MemoryNeed> needs; // the greatest of them
};
// What came of a question to Redis, or why none was put.
enum class RedisResult : std::uint8_t {
    ok,
    timeout,
    lost,    // there was no connection, or it ended before the answer
    error,   // it answered that it can't: OOM, READONLY, LOADING
    busy,    // as many questions wait as may
    skipped, // it has failed of late
};
inline constexpr std::array<std::string_view, 6> redis_results = {"ok", "timeout", "lost", "error", "busy", "skipped"};
inline constexpr std::array<double, 8> redis_latency_bounds = {0.0001, 0.00025, 0.0005, 0.001,
                                                               0.0025, 0.005,   0.01,   0.1};
struct RedisStats {
    std::string server, on_failure;
    std::string breaker; // passing, tripped, probing
    std::string problem; // the newest, while it is not passing
    std::uint64_t trips = 0, connects = 0, connects_failed = 0;
    int connections = 0;                                                  // of reactors, ready now
    std::array<std::uint64_t, redis_results.size()> results{};            // by RedisResult
    std::array<std::uint64_t, redis_latency_bounds.size() + 1> latency{}; // of the ok ones
    double latency_sum = 0;                                               // seconds
};
struct ServerStats {
    std::vector<GateStats> gates;
    std::vector<RouteStats> routes;
    std::vector<QueueStats> queues;
    std::vector<RefusalStats> refusals;
    std::vector<LimitStats> limits;
    std::optional<RedisStats> redis;       // where one is configured
    std::uint64_t rate_keys_forgotten = 0; // pushed out of the table of rate limits before their time
    std::uint64_t connections_open = 0, connections_total = 0, connections_refused = 0; // refused: over max_connections
    std::uint64_t connections_evicted = 0;                                              // at rest, for new clients
    std::uint64_t accept_pauses = 0;                                                    // for want of descriptors
    std::uint64_t cut_requests = 0, cut_tunnels = 0,
                  cut_connections = 0; // at the bound of a stop; the last: neither of both
    std::uint64_t retries = 0, client_aborts = 0, upgrades = 0;
    std::uint64_t upstream_connects = 0, upstream_reuses = 0, upstream_failures = 0, upstream_idle = 0,
                  upstream_unheard = 0;
    std::uint64_t buffered_bytes = 0, buffered_file_bytes = 0; // of requests and responses now: in memory, in files
    std::uint64_t buffered_limit = 0, buffered_file_limit = 0; // buffer_memory, buffer_files
    double loop_lag_seconds = 0;                               // the worst of the reactors, over the last second or so
};

// What load balancers in front are told at a listener's health_path.
enum class Readiness : std::uint8_t { not_ready, ready, stopping };

class Server {
public:
    Server(const config::Config& config, Pools pools);
    ~Server();

    // Binds every listener and starts the threads. Empty: done. Else the one line that says what is wrong and how to mend
    // it ("127.0.0.1:8080 is taken by another process: choose another address ..."); nothing is left open then.
    std::string start();
    void accept(); // from here on clients are taken; until then they wait in the kernel's queues
    std::vector<std::string> addresses() const; // as bound: port 0 is resolved

    // Routes, limits: new requests see them at once. Listeners come and go. Empty: done; else a listener could not be opened,
    // the line says why, and nothing has changed.
    std::string apply(const config::Config& config, Pools pools);
    void set_pools(Pools pools); // some that no route leads to are gone
    // By a route that some request or client at rest still goes by, if only by an old one.
    bool leads_to(const std::string& pool) const;
    void tell(Readiness readiness); // cheap: whenever it may have changed
    void part(); // a stop is to come: from now on answers say "Connection: close", and all else goes on
    void close_idle(WorkerKey worker, std::function<void()> done); // done: once, on any thread, when all reactors have
    void stop(Duration bound, std::function<void()> done); // stops accepting, finishes, then cuts; done on any thread
    void end();                                            // what has not ended is cut, and the threads are gone
    ServerStats stats() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace plimsoll::net
