// A model of an event loop behind the real Gate: a request first awaits something elsewhere, which costs the loop nothing
// however many do, and then computes, one after the other. What only awaits is one extreme, what only computes the other.
//
//   client --> gate --slot--> awaits --> in line for one of `width` that compute --> answered
//
// Clients come in groups: so many that ask again as soon as they have an answer, or an open stream of so many a second.
#pragma once

#include <cstdint>
#include <vector>

#include "plimsoll/policy/gate.hpp"

namespace plimsoll::sim {

struct Clients {
    unsigned count = 0;                // closed loop
    double rate = 0;                   // open loop: requests a second
    Duration awaits{}, awaits_up_to{}; // evenly between the two; the second 0: all the same
    Duration computes{};
    Duration from{}, to = std::chrono::hours{1}; // they ask then
};
struct AwaitSettings {
    std::uint64_t seed = 1;
    unsigned width = 1; // compute at once
    Duration length = std::chrono::seconds{10};
    std::vector<Clients> groups;
    Gate::Settings gate;
};
struct GroupReport {
    std::uint64_t answered = 0, refused = 0;
    std::vector<double> latency; // milliseconds, in order
    double quantile(double q) const;
};
struct AwaitReport {
    std::vector<GroupReport> groups;
    std::vector<unsigned> limits; // every 100 ms
};
AwaitReport run(const AwaitSettings& settings);

} // namespace plimsoll::sim
