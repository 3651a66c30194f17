// A model of an asynchronous worker around the real AdaptiveLimit: it does up to `width` requests at once at full speed, and
// shares itself among more (a processor that is shared). Its queue never runs dry where `load` is above 1.
#pragma once

#include <cstdint>
#include <vector>

#include "plimsoll/policy/adaptive_limit.hpp"

namespace plimsoll::sim {

struct Phase {
    Duration length{};
    double width = 10; // requests that it can do at once
    Duration base{};   // of a request that is alone
    double load = 2;   // offered, as a share of width / base
};
struct WorkerSettings {
    std::uint64_t seed = 1;
    double spread = 0.5;                    // of service times: log-normal sigma; 0: constant
    double slow_share = 0, slow_factor = 1; // so many requests take so many times as long
    std::vector<Phase> phases;
    AdaptiveLimit::Settings limit;
};
struct PhaseReport {                           // of the second half of a phase
    double throughput = 0;                     // as a share of what the worker can do
    double latency = 0;                        // mean, as a multiple of the base
    double limit = 0, lowest = 0, highest = 0; // mean; the extremes, of the whole phase
};
std::vector<PhaseReport> run(const WorkerSettings& settings);

} // namespace plimsoll::sim
