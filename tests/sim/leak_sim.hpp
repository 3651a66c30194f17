// Model processes with known truth around the real detector: whole days of a worker's memory in milliseconds, any seed.
//
// An application is drawn once (traffic, headroom, what its memory does); lives of it are drawn from it, as one
// generation follows another. Memory is the sum of what is kept (leak, cache, sessions, ...), what requests hold while
// they run, and the allocator's habits: arenas come whole, and the most that was ever needed at once stays.
//
//   cold   the first process ever of an application: nothing to compare with
//   warm   one earlier life is known, cut off where a leak reached its limit
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "plimsoll/leak/detector.hpp"

namespace plimsoll::sim {

inline constexpr double mib = 1 << 20; // bytes

enum class Family : std::uint8_t {
    steady,
    warm_up,       // imports, templates, connections: saturates with requests
    lru,           // a bounded cache that fills, by uniform or by popular keys
    sessions,      // arrive with requests and expire with time
    sawtooth,      // collected or flushed every so many requests
    fragmentation, // holes grow like the logarithm; live bytes stay
    unsharing,     // private pages grow, anonymous memory does not
    diurnal,       // memory follows the load of the day
    slow_lru,      // a cache that is not full when the process ends: nobody can tell it from a leak
    leak
};
inline constexpr std::array innocents{Family::steady,   Family::warm_up,       Family::lru,       Family::sessions,
                                      Family::sawtooth, Family::fragmentation, Family::unsharing, Family::diurnal};
std::string_view to_string(Family family);

struct App {
    Family family = Family::steady; // of a leak: what it does besides is `background`
    Family background = Family::steady;
    double leak = 0;      // bytes a request, over all requests
    double hit_share = 1; // of the requests leak, that much more each
    double rate = 10;     // requests a second
    double headroom = 0, base = 0;
    double size = 0, pace = 0, shape = 0, day = 0; // of the family's habit; see leak_sim.cpp
    double per_flight = 0, transient = 0, busy = 1, arena = 1 << 20;
    bool agent = true; // live bytes and private pages are known
    double length = 0; // seconds
    double onset = 0;  // seconds: before that nothing leaks
    double lead = 0;   // seconds that a recycle is begun before the early bound of the forecast; 0: nobody recycles
};
App draw_app(Family family, std::uint64_t seed);

struct Life {
    bool suspected = false, accused = false; // said to leak at all; with enough confidence for an incident
    double suspected_at = 0, accused_at = 0; // requests
    double gone = 0;                         // share of the headroom when it was first said
    double healthy = 0;                      // requests before the onset
    double slope_error = 0;
    double requests = 0; // at its end
    leak::Class last = leak::Class::unknown;
    double confidence = 0; // when accused
    bool recycled = false, reached_limit = false;
    double recycled_at = 0; // seconds
    double used_up = 0;     // share of the headroom that was kept for good then
};
// `history` learns this life when it has ended.
Life live(const App& app, std::uint64_t seed, leak::History& history, const std::string& release = {});

struct Rate { // k of n, with Wilson's 95 % interval
    unsigned k = 0, n = 0;
    double value() const { return n == 0 ? 0.0 : static_cast<double>(k) / n; }
    double low() const;
    double high() const;
};

struct Tally {
    struct Innocent {
        Family family;
        Rate suspicions, alarms, class_right;
    };
    struct Leaks {
        std::string name;
        Rate before_half, in_5000, sure; // in_5000: only where it leaks 4 KB or more; sure: an incident before the end
        std::vector<double> delays;
    };
    std::vector<Innocent> innocent;
    std::vector<Leaks> leaks; // by rate; the last: all
    Rate alarms() const;
};
// `lives` of each innocent family, and as many leaks of each rate. late_leaks: that begin after one to twelve hours.
Tally tally(std::uint64_t seed, unsigned lives, bool warm);
std::vector<Tally::Leaks> late_leaks(std::uint64_t seed, unsigned lives, bool warm);
// Of 4 KB and more a request, that a release brought: a life of the one before it is known.
Tally::Leaks new_leaks(std::uint64_t seed, unsigned lives);
// Sessions, in a life that has so many times the traffic of the one before.
Tally::Innocent busier(std::uint64_t seed, unsigned lives, double times);
std::string table(const std::vector<Tally::Leaks>& leaks);
std::string table(const Tally& tally);

// First processes that would be at their limit after 1, 10 and 20 hours, recycled on their forecast: was that in time?
struct RecycleTally {
    struct Row {
        Family background;
        Rate in_time; // no reading at the limit until the recycle was over
        std::vector<double> used_up;
    };
    std::vector<Row> rows; // by what the memory does besides
    Row all() const;
};
RecycleTally recycles(std::uint64_t seed, unsigned lives);
std::string table(const RecycleTally& tally);

} // namespace plimsoll::sim
