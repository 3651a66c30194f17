#include "sim/route_sim.hpp"

#include <gtest/gtest.h>

namespace plimsoll::sim {
namespace {

TEST(RouteSim, the_route_that_is_named_is_the_one_that_leaks) {
    unsigned decided = 0, right = 0, near = 0;
    for (std::uint64_t seed = 500; seed < 508; ++seed) {
        const RouteRun run =
            run_routes(draw_route_app(seed, false), seed, {.experiment = true, .most_requests = 60'000});
        if (!run.decided) continue;
        ++decided;
        right += run.top_right ? 1 : 0;
        near += run.error <= 0.1 ? 1 : 0;
    }
    EXPECT_GE(decided, 6U);
    EXPECT_EQ(right, decided);
    EXPECT_GE(near + 1, decided);
}

TEST(RouteSim, the_experiment_shifts_the_mix_and_not_the_response_times) {
    const RouteApp app = draw_route_app(29, true);
    const RouteTraffic traffic{.most_requests = 30'000, .stop_when_sure = false};
    RouteTraffic varied = traffic;
    varied.experiment = true;
    const RouteRun without = run_routes(app, 29, traffic), with = run_routes(app, 29, varied);
    EXPECT_EQ(without.steered, 0);
    EXPECT_GT(with.steered, 0.1);
    EXPECT_LT(with.p99, 1.15 * without.p99); // two draws of one load differ by as much
}

TEST(RouteSim, the_same_seed_gives_the_same_run) {
    const RouteApp app = draw_route_app(3, true);
    const RouteTraffic traffic{.experiment = true, .most_requests = 5'000};
    EXPECT_EQ(run_routes(app, 3, traffic).requests, run_routes(app, 3, traffic).requests);
    EXPECT_EQ(run_routes(app, 3, traffic).p99, run_routes(app, 3, traffic).p99);
}

} // namespace
} // namespace plimsoll::sim
