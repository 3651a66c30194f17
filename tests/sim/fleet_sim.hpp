// A virtual clock and model workers around the real Gate and RecyclePlanner: minutes of traffic in milliseconds, any
// seed.
//
// Events are ordered by (time, sequence number), so a run is a pure function of its seed. Requests arrive by a Poisson
// process, hold a slot for an exponential service time and leak; a worker over its soft limit asks for a recycle, is
// drained, ends, and its successor boots. Every promise is checked after every event; the first that breaks ends the
// run.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "plimsoll/fleet/recycle_planner.hpp"
#include "plimsoll/policy/gate.hpp"

namespace plimsoll::sim {

struct Settings {
    std::uint64_t seed = 1;
    unsigned workers = 4, slots = 1;
    double load = 0.7; // offered, as a share of the capacity
    Duration service_time = std::chrono::milliseconds{20}, boot_time = std::chrono::milliseconds{800};
    Duration length = std::chrono::minutes{2};
    double leak_a_request = 0.002; // of the limit
    double soft_limit = 0.8;
    double boot_failures = 0.0;  // share of successors that do not boot
    double client_aborts = 0.01; // share of waiting clients that leave
    bool successor_first = true;
    Gate::Settings gate;
    RecyclePlanner::Settings planner;
};

struct Report {
    std::string broken; // the first promise that broke; empty: none did
    std::uint64_t requests = 0, answered = 0, refused = 0, left = 0, recycles = 0, failed_boots = 0;
    std::size_t in_flight_at_end = 0;
};

Report run(const Settings& settings);

} // namespace plimsoll::sim
