// Counters that one reactor writes and anybody may read. Single-writer and relaxed: adding is a load and a store, no locked
// instruction. The series of a route label outlive the routing that named them, so a reload never makes a counter fall.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "net/server.hpp"

namespace plimsoll::net {

class Counter {
public:
    void add(std::uint64_t n = 1) { value_.store(get() + n, std::memory_order_relaxed); }
    void subtract(std::uint64_t n = 1) { value_.store(get() - n, std::memory_order_relaxed); }
    void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
    std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_ = 0;
};

struct Durations {
    std::array<Counter, latency_bounds.size() + 1> buckets;
    Counter nanoseconds;

    void record(Duration took);
    void add_to(Histogram& histogram) const;
};

// One route label of one pool, as one reactor counted it.
struct alignas(64) SeriesSlot {
    std::array<Counter, 6> by_class;
    Durations seconds;
    Counter request_bytes, response_bytes;

    void record(unsigned status, Duration took, std::uint64_t received, std::uint64_t sent);
};
struct Series {
    std::string pool, route;
    std::unique_ptr<SeriesSlot[]> slots; // by reactor
};

// The queue of one pool, as one reactor counted it.
struct alignas(64) QueueSlot {
    std::array<Durations, priorities> waits;
    Counter left; // by clients
};
struct QueueSeries {
    std::string pool;
    std::unique_ptr<QueueSlot[]> slots; // by reactor
};

// What belongs to no route: one for each reactor.
struct alignas(64) ReactorCounters {
    Counter connections_open, connections_total, connections_refused, connections_evicted, accept_pauses;
    Counter retries, client_aborts, upgrades;
    Counter cut_requests, cut_tunnels, cut_connections; // at the bound of a stop
    Counter upstream_connects, upstream_reuses, upstream_failures, upstream_idle, upstream_unheard;
    Counter loop_lag_nanoseconds;

    // Both texts live as long as the program.
    void refused(std::string_view pool, std::string_view reason, std::string_view mode = "enforce");
    using Refusals = std::map<std::tuple<std::string_view, std::string_view, std::string_view>, std::uint64_t>;
    void add_refusals(Refusals& to) const; // by pool, reason and mode

private:
    mutable std::mutex mutex_; // refusals are many only when nothing else is
    Refusals refusals_;
};

class Registry {
public:
    explicit Registry(unsigned reactors) : reactors_(reactors) {}

    // The series of a label, made on first use. Beyond max_series all new labels share one named "other".
    Series& series(std::string_view pool, std::string_view route);
    QueueSeries& queue(std::string_view pool);
    std::string_view intern(std::string_view pool); // the same name, for as long as the program runs
    void add_to(ServerStats& stats) const;

    // The same for a label that the application names: of those a pool has max_labels, and the rest is its "other".
    Series& labelled(std::string_view pool, std::string_view label);

    static constexpr std::size_t max_series = 4096, max_labels = 256;

private:
    const unsigned reactors_;
    mutable std::mutex mutex_;
    Series& series_of(std::pair<std::string, std::string> key); // with the lock held
    std::map<std::pair<std::string, std::string>, std::unique_ptr<Series>, std::less<>> series_;
    std::map<std::string, std::unique_ptr<QueueSeries>, std::less<>> queues_; // by pool
    std::map<std::string, std::size_t, std::less<>> labels_;                  // named by the application, by pool
    std::map<std::string, std::unique_ptr<std::string>, std::less<>> names_;
};

} // namespace plimsoll::net
