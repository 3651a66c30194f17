// Which routes the memory of a pool's workers grows by.
//
//   reading --> stretch of >= 50 requests? --> interval (growth, requests by label) --> ring of 800
//                                                                                        | while a worker is suspect:
//   routes[] of the leak, its verdict, its incident <-- attribution (plimsoll/leak), on a thread of its own <--'
//                                                         | not sure yet
//                                                         '--> experiment: other labels to other workers (net/steering.hpp)
//
// The ring holds the lives of all workers of the pool, ended ones too: what a route leaves behind does not change with the
// process. What a request holds while it runs is noise: a moment in which the worker serves none is waited for, for up to four
// stretches.
//
// Resident memory does not see what fills holes of the heap, until they are full: a leak would be blamed on whoever is asked then.
// Where the agent tells what glibc holds free, and often enough, readings are its resident memory less that, taken when its word comes.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "fleet/agent_server.hpp"
#include "fleet/context.hpp"
#include "fleet/view.hpp"
#include "net/pool.hpp"
#include "plimsoll/leak/attribution.hpp"
#include "plimsoll/leak/experiment.hpp"
#include "plimsoll/leak/route_order.hpp"

namespace plimsoll::fleet {

// Sets how young a worker must not be by the lives that there are. Pure, and what the thread runs.
leak::Attribution attribute(const std::vector<leak::Interval>& intervals);
std::vector<RouteShare> named(const leak::Attribution& found, const std::vector<std::string>& names);
// Says of each whether it is the heaviest. `seen`: intervals, ever.
void rank(std::vector<RouteShare>& routes, leak::RouteOrder& order, const leak::Attribution& found, std::size_t seen);

// Resident memory less the holes in glibc's heap. Unset: not known.
std::optional<double> in_use_of(const Sample& sample);

class LeakRoutes {
public:
    LeakRoutes(Context& context, net::Pool& pool);
    ~LeakRoutes();

    void read(WorkerKey worker, std::uint64_t requests, double used);      // resident
    void sampled(WorkerKey worker, std::uint64_t requests, double in_use); // by its agent
    void ended(WorkerKey worker);
    void look(Instant now); // somebody is suspect: find out, unless that is under way or was done just now
    const std::vector<RouteShare>& found() const { return outcome_->routes; }
    bool news();     // found() has changed since this was asked last
    void forget();   // what leaked is mended, or the code is another: what was found, and the intervals by which it was
    void withdraw(); // what was suspected is no leak: what was found

    // Begins, turns over or ends the experiment, as it is time to. Not empty: what the leak's story should say of it.
    // `observed`: a capture measures what a worker is asked as ever; until it is over nothing is varied.
    std::string experiment(Instant now, bool suspected, bool observed, const config::Leak& settings);
    bool steers() const { return experiment_.running() && experiment_.salt() != 0 && !observed_; } // now
    std::optional<ExperimentView> experiment_view(const config::Leak& settings) const; // unset: there never was one

private:
    struct Life {
        std::uint32_t number = 0; // of the worker's life, in intervals; 0: not read yet, or by another measure
        std::uint64_t requests = 0, last_requests = 0;
        double used = 0;
        std::vector<std::uint64_t> counts;
        bool by_agent = false;     // `used` is
        unsigned unsampled = 0;    // our own readings since its agent told
        std::uint64_t sampled = 0; // requests, then
    };
    struct Outcome {
        std::vector<RouteShare> routes;
        std::vector<leak::Candidate> open;
        leak::RouteOrder order;
        unsigned sure = 0; // looks in a row
        bool parted = false;
        Duration took{}; // the last look
        bool busy = false, fresh = false;
    };
    void hand_over(const std::vector<std::uint32_t>& serials);
    Life& life_of(WorkerKey worker, std::uint64_t requests);
    void take(WorkerKey worker, Life& life, std::uint64_t requests, double used);
    void steer(); // as the experiment is now
    void vary();

    Context& context_;
    net::Pool& pool_;
    std::unordered_map<WorkerKey, Life> lives_;
    std::deque<leak::Interval> intervals_;
    std::vector<std::uint32_t> serials_;
    std::uint32_t last_number_ = 0;
    std::uint64_t requests_ = 0;        // of all lives
    std::size_t seen_ = 0, looked_ = 0; // intervals so far: ever, and at the last look
    std::optional<Instant> looked_at_;
    std::shared_ptr<Outcome> outcome_ = std::make_shared<Outcome>(); // outlives us while a thread works for it
    leak::Experiment experiment_;
    bool observed_ = false;
    std::mt19937_64 random_{std::random_device{}()};
    std::map<leak::Experiment::End, std::uint64_t> ended_; // how many experiments, so
};

} // namespace plimsoll::fleet
