// Which route leaks, asked of model applications with known truth around the real gate, attribution and experiment.
//
// An application is drawn once: 20 to 50 routes that are asked for in pages (a page asks for several of them at once, so that
// routes come together), by a Zipf law, with a day that changes the mix; 1 to 5 of them leak 64 B to 64 KiB a request. Its
// workers serve one request at a time, or eight (`threads`: then they are never at rest); what memory they show holds what requests hold just then, caches that fill, and jumps
// of the allocator.
//
// Counting begins when the leak is suspected. It is looked at again whenever a twentieth more intervals are known, until the
// attribution is sure twice in a row (with an experiment: of one route, not of a group), or traffic ends.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plimsoll/core/time.hpp"
#include "plimsoll/leak/attribution.hpp"
#include "sim/leak_sim.hpp"

namespace plimsoll::sim {

struct RouteApp {
    struct Route {
        double leak = 0;     // bytes a request
        double service = 0;  // seconds, mean
        double hold = 0;     // bytes while it runs
        double cache = 0;    // bytes of a cache's entry; 0: none
        double capacity = 0; // of the cache, entries
    };
    struct Page {
        double weight = 0, phase = 0; // of its day
        std::vector<std::size_t> routes;
    };
    std::vector<Route> routes;
    std::vector<Page> pages;
    unsigned workers = 2, slots = 1; // more slots: always something in flight
    double load = 0.5;               // of the capacity
    double day = 1200, swing = 0;    // seconds; how much the mix changes in it
    double jumps = 0;                // a request
    double jump = 0;                 // bytes
};
// `together`: routes of a page are asked for at once, and pages do not share them.
RouteApp draw_route_app(std::uint64_t seed, bool together, bool threads = false);

struct RouteLook {                   // what one look at the intervals said, and what was true then
    double requests = 0;             // after the suspicion
    std::size_t seen = 0, heavy = 0; // intervals, ever; the label that has left most behind so far
    leak::Attribution found;
};
struct RouteRun {
    bool decided = false;
    double requests = 0;                 // after the suspicion, until it was sure (or the end)
    bool named = false;                  // the right route stood alone at the top, at two looks in a row
    double named_at = 0;                 // requests after the suspicion until then (or the end)
    bool top_right = false;              // when it was sure, or at the end
    double error = 1;                    // of the top's bytes
    bool held = false;                   // its interval holds the truth
    unsigned false_names = 0, names = 0; // false: neither leaks nor fills a cache
    double p99 = 0;                      // seconds, of all requests after the suspicion
    double steered = 0;                  // part of those wanted at home that got there, less that of those wanted away
    bool slower = false;                 // the experiment was ended for that
    std::vector<RouteLook> looks;
};
struct RouteTraffic {
    bool experiment = false;
    std::uint64_t most_requests = 200'000;
    bool stop_when_sure = true; // else the answer is kept from the experiment: for what it does to response times
};
RouteRun run_routes(const RouteApp& app, std::uint64_t seed, const RouteTraffic& traffic);

} // namespace plimsoll::sim
