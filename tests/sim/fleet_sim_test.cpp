#include "sim/fleet_sim.hpp"

#include <gtest/gtest.h>

#include "sim/seeds.hpp"

namespace plimsoll::sim {
namespace {

using namespace std::chrono_literals;

Report expect_kept(const Settings& settings) {
    SCOPED_TRACE("seed " + std::to_string(settings.seed));
    const Report report = run(settings);
    EXPECT_EQ(report.broken, "");
    EXPECT_EQ(report.answered + report.refused + report.left, report.requests) << "a request was lost";
    EXPECT_EQ(report.in_flight_at_end, 0U) << "a permit leaked";
    return report;
}

TEST(FleetSim, below_capacity_nobody_is_refused_though_workers_are_recycled) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        const Settings settings{.seed = seed, .length = 1min, .leak_a_request = 0.001};
        expect_kept(settings);
        const Report report = run(settings);
        EXPECT_EQ(report.refused, 0U);
        EXPECT_GT(report.recycles, 5U);
    }
}

TEST(FleetSim, promises_hold_at_every_load_and_shape) {
    for (std::uint64_t seed = 1; seed <= 40; ++seed)
        for (const bool successor_first : {true, false})
            expect_kept({.seed = seed,
                         .workers = 1 + static_cast<unsigned>(seed % 8),
                         .slots = 1 + static_cast<unsigned>(seed % 3),
                         .load = 0.2 + static_cast<double>(seed % 10) / 4,
                         .length = 20s,
                         .leak_a_request = 0.004,
                         .client_aborts = 0.2,
                         .successor_first = successor_first,
                         .gate = {.queue_size = 64, .queue_timeout = 500ms}});
}

// Short lives: each worker is recycled within some dozens of requests.
TEST(FleetSim, promises_hold_over_many_seeds) {
    std::uint64_t recycles = 0;
    for (std::uint64_t seed = 1; seed <= seeds(40) && !HasFailure(); ++seed)
        recycles += expect_kept({.seed = seed,
                                 .workers = 1 + static_cast<unsigned>(seed % 8),
                                 .slots = 1 + static_cast<unsigned>(seed / 8 % 3),
                                 .load = 0.2 + static_cast<double>(seed / 24 % 10) / 4,
                                 .boot_time = 100ms,
                                 .length = 1s,
                                 .leak_a_request = 0.03,
                                 .boot_failures = seed % 5 == 0 ? 0.3 : 0,
                                 .client_aborts = 0.2,
                                 .successor_first = seed % 2 == 0,
                                 .gate = {.queue_size = 64, .queue_timeout = 500ms},
                                 .planner = {.first_pause = 100ms, .longest_pause = 1s}})
                        .recycles;
    EXPECT_GT(recycles, seeds(40));
}

TEST(FleetSim, successors_that_fail_to_boot_never_cost_a_serving_worker) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        const Settings settings{.seed = seed,
                                .length = 1min,
                                .leak_a_request = 0.002,
                                .boot_failures = 0.5,
                                .gate = {.memory_mode = Mode::off},
                                .planner = {.first_pause = 1s, .longest_pause = 5s}};
        expect_kept(settings);
        const Report report = run(settings);
        EXPECT_GT(report.failed_boots, 0U);
        EXPECT_EQ(report.refused, 0U);
    }
}

} // namespace
} // namespace plimsoll::sim
