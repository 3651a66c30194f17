// When a gate changes its mind, in words for whoever is woken by it: two looks at its numbers are compared, a second or so apart.
//
//   overload          on .. off                       refused with concurrency, queue_full, queue_timeout
//   memory_shedding   the load line sheds             refused with memory
//   shedding_futile   it did not help                 refused with memory
//   stall_shedding    the last brake is on            refused with memory
//   health_panic      too many are ailing             refused with whatever reason
//   worker_breaker    of one worker: tripped, probing
//   route_breaker     of one route: tripped, probing     refused with breaker, of all routes
//
// Each is an episode (episode.hpp): told when it begins and when it is over for good. A breaker that tripped and passed again
// between two looks is known by its count of trips.
//
// There is one breaker a worker and one a route, and a host that dies trips many at once: of those twenty are told, and one more
// every three seconds; the last one that is told says how many were not. Whose beginning was not told, of him the end is not
// either.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "plimsoll/core/time.hpp"
#include "plimsoll/policy/episode.hpp"
#include "plimsoll/policy/gate.hpp"

namespace plimsoll {

struct GateNews {
    enum class What : std::uint8_t {
        overload,
        memory_shedding,
        shedding_futile,
        stall_shedding,
        health_panic,
        worker_breaker,
        route_breaker,
    } what = What::overload;
    bool began = true;    // else it has ended
    WorkerKey worker = 0; // of worker_breaker
    RouteKey route = 0;   // of route_breaker
    bool gone = false;    // it ended with the worker
    std::string why;      // what is known of it, in words

    // Where it has ended.
    Duration lasted{};
    std::uint64_t times = 0;                       // that it went on; of a breaker: its trips
    std::uint64_t refused = 0, shadow_refused = 0; // meanwhile; 0 of a worker's breaker: they went to other workers

    std::uint64_t untold = 0; // breakers that tripped as well, and are not told one by one
};
std::string_view to_string(GateNews::What what);

class GateReporter {
public:
    static constexpr unsigned most_told = 20;
    static constexpr Duration one_more_every = std::chrono::seconds{3};

    std::vector<GateNews> look(Instant now, const Gate::Stats& stats);

private:
    static constexpr std::size_t of_pool = 5; // the first kinds: one of each a pool
    struct Counts {
        std::uint64_t refused = 0, shadow_refused = 0;
    };
    struct Story { // of one thing
        Episode episode;
        Counts at_begin, at_end;                     // of those who were refused
        double most = -1;                            // the highest level in it
        std::uint64_t trips = 0, trips_at_begin = 0; // of a breaker; trips: when it was looked at last
        bool on = false;                             // then
        bool told = false;
    };
    using What = GateNews::What;

    static Counts counts(What what, const Gate::Stats& stats);
    void look_at_pool(Instant now, const Gate::Stats& stats, std::vector<GateNews>& news);
    void look_at_workers(Instant now, const Gate::Stats& stats, std::vector<GateNews>& news);
    void look_at_routes(Instant now, const Gate::Stats& stats, std::vector<GateNews>& news);
    std::optional<GateNews> look_at(Story& story, What what, bool on, Instant now, const Gate::Stats& stats);
    std::optional<GateNews> look_at(Story& story, What what, const Gate::BreakerStats& breaker, Instant now,
                                    const Gate::Stats& stats);
    static GateNews ended(Story& story, What what);
    void tell_one_of_many(Story& story, GateNews told, std::vector<GateNews>& news);

    std::array<Story, of_pool> pool_;
    std::unordered_map<WorkerKey, Story> workers_; // those that have tripped
    std::vector<Story> routes_;                    // by RouteKey
    std::array<Counts, of_pool + 2> last_{};       // by What: at the last look, so what came since is part of it
    double budget_ = most_told;
    std::optional<Instant> looked_;
    std::uint64_t untold_ = 0;
};

} // namespace plimsoll
