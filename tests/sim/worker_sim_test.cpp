// What the adaptive limit promises, on a model worker (worker_sim.hpp) of any width and pace. PLIMSOLL_SEEDS is how many seeds
// each of them tries, in thirties (3).
#include "sim/worker_sim.hpp"

#include <cstdlib>

#include <gtest/gtest.h>

namespace plimsoll::sim {
namespace {

using namespace std::chrono_literals;

std::uint64_t seeds_of_a_claim() {
    const char* wanted = std::getenv("PLIMSOLL_SEEDS");
    return wanted ? std::strtoull(wanted, nullptr, 10) / 30 + 1 : 3;
}

double mean(const std::vector<std::vector<PhaseReport>>& runs, std::size_t phase, double PhaseReport::*value) {
    double sum = 0;
    for (const auto& run : runs) sum += run[phase].*value;
    return sum / static_cast<double>(runs.size());
}

std::vector<std::vector<PhaseReport>> runs_of(WorkerSettings settings) {
    std::vector<std::vector<PhaseReport>> all;
    for (settings.seed = 1; settings.seed <= seeds_of_a_claim(); ++settings.seed) all.push_back(run(settings));
    return all;
}

TEST(WorkerSim, under_overload_the_worker_is_busy_and_its_requests_are_not_slow) {
    for (const double width : {2.0, 5.0, 20.0, 60.0})
        for (const Duration base : {Duration{5ms}, Duration{50ms}})
            for (const double spread : {0.0, 0.5, 1.0}) {
                SCOPED_TRACE(testing::Message() << width << " at once, " << base / 1ms << " ms, spread " << spread);
                const auto all = runs_of({.spread = spread, .phases = {{60s, width, base, 3}}});
                EXPECT_GE(mean(all, 0, &PhaseReport::throughput), 0.88);
                EXPECT_LE(mean(all, 0, &PhaseReport::latency), width < 5 ? 6 : 2.5);
                for (const auto& each : all) EXPECT_GE(each[0].throughput, 0.8);
            }
}

TEST(WorkerSim, overload_that_lasts_does_not_make_the_limit_drift) {
    for (const auto& each : runs_of({.phases = {{60s, 20, 50ms, 3}, {300s, 20, 50ms, 3}, {300s, 20, 50ms, 3}}})) {
        EXPECT_LE(each[2].limit, 1.3 * each[1].limit + 2);
        EXPECT_LE(each[2].latency, 1.6);
    }
}

TEST(WorkerSim, an_application_that_becomes_slower_is_no_overload) {
    for (const auto& each : runs_of({.phases = {{60s, 20, 50ms, 3}, {120s, 20, 150ms, 3}}})) {
        EXPECT_GE(each[1].throughput, 0.85) << "its requests wait for something else: as many at once as before";
        EXPECT_GE(each[1].lowest, 3) << "the limit is not pinned to its minimum to find that out";
    }
}

TEST(WorkerSim, a_worker_that_can_do_less_gets_less_and_more_again_when_it_can) {
    for (const auto& each : runs_of({.phases = {{60s, 20, 50ms, 3}, {60s, 5, 50ms, 3}, {60s, 20, 50ms, 3}}})) {
        EXPECT_LE(each[1].latency, 2.2);
        EXPECT_GE(each[2].throughput, 0.85);
    }
}

TEST(WorkerSim, a_few_slow_routes_do_not_mislead_it) {
    for (const auto& each : runs_of({.slow_share = 0.1, .slow_factor = 20, .phases = {{120s, 20, 20ms, 3}}})) {
        EXPECT_GE(each[0].throughput, 0.75);
        EXPECT_LE(each[0].latency, 3);
    }
}

TEST(WorkerSim, while_clients_are_the_limit_it_does_not_grow) {
    for (const auto& each : runs_of({.phases = {{60s, 60, 50ms, 0.05}, {60s, 60, 50ms, 0.05}}})) {
        EXPECT_LE(each[1].highest, 16) << "three are there at once, on average";
        EXPECT_LE(each[1].latency, 1.1);
    }
}

TEST(WorkerSim, within_its_capacity_nobody_is_held_back) {
    for (const auto& each : runs_of({.phases = {{60s, 60, 50ms, 0.9}}})) {
        EXPECT_GE(each[0].throughput, 0.86);
        EXPECT_LE(each[0].latency, 1.25);
    }
}

TEST(WorkerSim, bounds_are_kept) {
    for (const auto& each : runs_of({.phases = {{30s, 60, 5ms, 3}}, .limit = {.min = 3, .initial = 4, .max = 9}})) {
        EXPECT_GE(each[0].lowest, 3);
        EXPECT_LE(each[0].highest, 9);
    }
    for (const auto& each : runs_of({.phases = {{30s, 1, 5ms, 5}}})) EXPECT_GE(each[0].lowest, 1);
}

} // namespace
} // namespace plimsoll::sim
