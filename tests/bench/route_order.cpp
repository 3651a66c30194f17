// Of applications in which several routes leak: is the route that is named the heaviest one? By three rules: the first look that names
// any, two looks in a row that agree, and plimsoll/leak/route_order.hpp; and does the group that is named until then hold it?
//
//   bench_route_order [SEED [APPS [REQUESTS]]]      the same seed gives the same table
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "plimsoll/leak/route_order.hpp"
#include "sim/route_sim.hpp"

using namespace plimsoll::sim;
namespace leak = plimsoll::leak;

namespace {

void count(Rate& rate, bool yes) { ++rate.n, rate.k += yes ? 1 : 0; }

bool is_of(const leak::Share& share, std::size_t label) {
    return std::ranges::find(share.labels, label) != share.labels.end();
}

std::vector<std::string> names_of(const leak::Share& share) {
    if (share.labels.empty()) return {"every route"};
    std::vector<std::string> names;
    for (const std::size_t label : share.labels) names.push_back(std::to_string(label));
    return names;
}

struct Rule {
    const char* name;
    Rate reached, right;
    std::vector<double> requests;

    void add(const RouteLook* look) {
        count(reached, look != nullptr);
        requests.push_back(look != nullptr ? look->requests : 1e12);
        if (look != nullptr) count(right, is_of(look->found.shares.front(), look->heavy));
    }
    void tell() {
        std::ranges::sort(requests);
        const double middle = requests[requests.size() / 2];
        std::printf("  %-28s %.3f (%.3f-%.3f)   %.3f (%.3f-%.3f) of %3u   %s\n", name, reached.value(), reached.low(),
                    reached.high(), right.value(), right.low(), right.high(), right.n,
                    middle < 1e12 ? std::to_string(static_cast<long>(middle)).c_str() : "-");
    }
};

struct OrderTable {
    Rule any{"the first look", {}, {}, {}}, agreeing{"two that agree", {}, {}, {}}, sure{"route_order.hpp", {}, {}, {}};
    Rate group, taken_back;
    std::vector<double> sizes; // of groups

    void add(const RouteRun& run) {
        const RouteLook *first = nullptr, *agreed = nullptr, *certain = nullptr, *before = nullptr;
        leak::RouteOrder order;
        bool back = false;
        for (const RouteLook& look : run.looks) {
            const auto& shares = look.found.shares;
            if (shares.empty()) continue;
            if (first == nullptr) first = &look;
            const bool same = before != nullptr && before->found.shares.front().labels == shares.front().labels;
            if (agreed == nullptr && same) agreed = &look;
            before = &look;
            leak::RouteOrder::Look seen{.routes = {},
                                        .first = look.found.first,
                                        .unnamed = look.found.unnamed,
                                        .intervals = look.found.intervals,
                                        .seen = look.seen};
            for (const auto& share : shares)
                seen.routes.push_back(
                    {names_of(share), share.share * share.low / share.bytes, share.share * share.high / share.bytes});
            const auto ranks = order.look(seen);
            if (ranks.front() == leak::Heaviest::yes) {
                if (certain == nullptr) certain = &look;
                continue;
            }
            back = back || certain != nullptr;
            if (certain != nullptr) continue;
            bool holds = false;
            double size = 0;
            for (std::size_t i = 0; i < ranks.size(); ++i) {
                if (ranks[i] != leak::Heaviest::maybe) continue;
                ++size;
                holds = holds || is_of(shares[i], look.heavy);
            }
            count(group, holds);
            sizes.push_back(size);
        }
        any.add(first), agreeing.add(agreed), sure.add(certain);
        if (certain != nullptr) count(taken_back, back);
    }
    void tell() {
        std::printf("  %-28s %-22s  %-29s  %s\n", "rule", "reached", "right", "requests, median");
        for (Rule* rule : {&any, &agreeing, &sure}) rule->tell();
        double sum = 0;
        for (const double size : sizes) sum += size;
        std::printf("  until then a group holds it: %.3f of %u looks, %.1f routes in it; taken back later: %.3f "
                    "(%.3f-%.3f)\n\n",
                    group.value(), group.n, sum / std::max(1.0, static_cast<double>(sizes.size())), taken_back.value(),
                    taken_back.low(), taken_back.high());
    }
};

bool several_leak(const RouteApp& app) {
    return std::ranges::count_if(app.routes, [](const auto& route) { return route.leak > 0; }) > 1;
}

} // namespace

int main(int arguments, char** argument) {
    const std::uint64_t seed = arguments > 1 ? std::strtoull(argument[1], nullptr, 10) : 1;
    const unsigned apps = arguments > 2 ? static_cast<unsigned>(std::strtoul(argument[2], nullptr, 10)) : 100;
    const std::uint64_t most = arguments > 3 ? std::strtoull(argument[3], nullptr, 10) : 25'000;
    struct Kind {
        bool together, alone, experiment;
    };
    for (const Kind kind : {Kind{false, true, false}, Kind{true, true, false}, Kind{false, false, false},
                            Kind{true, false, false}, Kind{true, false, true}}) {
        OrderTable orders;
        for (std::uint64_t i = 0, found = 0; found < apps; ++i) {
            RouteApp app = draw_route_app(seed * 100'000 + i, kind.together);
            if (!several_leak(app)) continue;
            ++found;
            if (kind.alone) app.workers = 1;
            orders.add(run_routes(app, seed * 100'000 + i, {kind.experiment, most, false}));
        }
        std::printf("%s, %s%s, seed %llu, %u applications, %llu requests each\n",
                    kind.together ? "routes of a page together" : "independent routes",
                    kind.alone ? "one worker" : "two to eight workers", kind.experiment ? ", with the experiment" : "",
                    static_cast<unsigned long long>(seed), apps, static_cast<unsigned long long>(most));
        orders.tell();
        std::fflush(stdout);
    }
}
