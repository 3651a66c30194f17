// Which routes the memory of a pool's workers grows by.
//
//   reading --> stretch of >= 50 requests? --> interval (growth, requests by label) --> ring of 800
//                                                                                        | while a worker is accused:
//   routes[] of the leak, its verdict, its incident <-- attribution (plimsoll/leak), on a thread of its own <--'
//
// The ring holds the lives of all workers of the pool, ended ones too: what a route leaves behind does not change with the
// process. Traffic that is rare is one label, "other": the attribution's cost grows with the square of their number.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "fleet/context.hpp"
#include "fleet/view.hpp"
#include "net/pool.hpp"
#include "plimsoll/leak/attribution.hpp"

namespace plimsoll::fleet {

// The most frequent labels keep their columns, the rest goes to `other`; sets how young a worker must not be by the lives that
// there are. Pure, and what the thread runs.
std::vector<RouteShare> routes_of(std::vector<leak::Interval> intervals, const std::vector<std::string>& names);

class LeakRoutes {
public:
    LeakRoutes(Context& context, net::Pool& pool);

    void read(WorkerKey worker, std::uint64_t requests, double used);
    void ended(WorkerKey worker);
    void look(Instant now); // somebody is accused: find out, unless that is under way or was done just now
    const std::vector<RouteShare>& found() const { return outcome_->routes; }
    bool news(); // found() has changed since this was asked last

private:
    struct Life {
        std::uint32_t number = 0; // of the worker's life, in intervals
        std::uint64_t requests = 0;
        double used = 0;
        std::vector<std::uint64_t> counts;
    };
    struct Outcome {
        std::vector<RouteShare> routes;
        bool busy = false, fresh = false;
    };
    void hand_over(const std::vector<std::uint32_t>& serials);

    Context& context_;
    net::Pool& pool_;
    std::unordered_map<WorkerKey, Life> lives_;
    std::deque<leak::Interval> intervals_;
    std::vector<std::uint32_t> serials_;
    std::uint32_t last_number_ = 0;
    std::size_t seen_ = 0, looked_ = 0; // intervals so far: ever, and at the last look
    std::optional<Instant> looked_at_;
    std::shared_ptr<Outcome> outcome_ = std::make_shared<Outcome>(); // outlives us while a thread works for it
};

} // namespace plimsoll::fleet
