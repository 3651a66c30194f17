// Names that all policies of a pool share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace plimsoll {

using WorkerKey = std::uint32_t; // one generation of one worker; never used again while the proxy runs
using RouteKey = std::uint16_t;  // one route label of a pool; 0: none
using CostKey = std::uint16_t;   // one label of a pool by which memory is learned; 0: none
using Ticket = std::uint64_t;    // one waiting request

enum class Priority : std::uint8_t { critical, normal, sheddable };
inline constexpr std::size_t priorities = 3;
constexpr std::size_t index(Priority priority) { return static_cast<std::size_t>(priority); }
constexpr std::string_view to_string(Priority priority) {
    constexpr std::string_view names[priorities] = {"critical", "normal", "sheddable"};
    return names[index(priority)];
}

enum class Mode : std::uint8_t { enforce, shadow, off }; // of a policy; shadow: it decides and counts, but does not act

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
};
inline constexpr std::size_t reasons = static_cast<std::size_t>(Reason::no_workers) + 1;
constexpr std::size_t index(Reason reason) { return static_cast<std::size_t>(reason); }
std::string_view to_string(Reason reason);

// Where an experiment (leak/experiment.hpp) wants a label's requests, and where a worker stands in it: home or away.
enum class Side : std::uint8_t { any, home, away };

enum class Outcome : std::uint8_t { success, failure, timeout, refused_upstream, abandoned };
inline constexpr std::size_t outcomes = static_cast<std::size_t>(Outcome::abandoned) + 1;
std::string_view to_string(Outcome outcome);

} // namespace plimsoll
