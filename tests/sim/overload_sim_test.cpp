// What the door promises, over loads, shapes and seeds. PLIMSOLL_PRINT=1 prints the table of the first test.
#include "sim/overload_sim.hpp"
#include "sim/seeds.hpp"

#include <cstdio>
#include <cstdlib>

#include <gtest/gtest.h>

namespace plimsoll::sim {
namespace {

using namespace std::chrono_literals;

void print(double load, const OverloadReport& report) {
    if (!std::getenv("PLIMSOLL_PRINT")) return;
    std::printf("%5.1fx  goodput %5.3f  served: critical %6.4f normal %5.3f sheddable %5.3f  p50 %5.1f p99 %6.1f ms  "
                "refused after p99 %6.2f ms\n",
                load, report.goodput(), report.served_share(Priority::critical), report.served_share(Priority::normal),
                report.served_share(Priority::sheddable), report.latency(.5), report.latency(.99),
                report.refusal_latency(.99));
}

// Four workers of 5 ms: what is refused costs those who are served nothing, however much it is.
TEST(OverloadSim, ten_times_the_capacity_is_served_as_well_as_once) {
    const OverloadReport unloaded = run({.steps = {{20s, 0.3}}});
    double peak = 0;
    for (const double load : {0.3, 0.5, 0.9, 1.0, 1.1, 1.5, 2.0, 4.0, 10.0}) {
        SCOPED_TRACE(load);
        const OverloadReport report = run({.steps = {{20s, load}}});
        print(load, report);
        EXPECT_EQ(report.broken, "");
        EXPECT_GE(report.served_share(Priority::critical), 0.995);
        peak = std::max(peak, report.goodput());
        if (load <= 0.9) {
            EXPECT_GT(report.goodput(), 0.96 * load);
            for (const Fate& fate : report.of) EXPECT_EQ(fate.refused, 0U) << "below the capacity";
        }
        if (load > 1) {
            EXPECT_GE(report.goodput(), 0.96) << "who is refused must not leave slots idle";
        }
        if (load < 2) continue;
        EXPECT_GE(report.goodput(), 0.97 * peak);
        EXPECT_LE(report.latency(.99), 2 * unloaded.latency(.99) + 6); // the target, and a little for the beginning
        EXPECT_LE(report.refusal_latency(.99), 2);
    }
}

TEST(OverloadSim, after_a_step_back_everybody_is_served_as_usual_within_a_fifth_of_a_second) {
    const auto step_back = [](std::uint64_t seed, Duration burst) {
        const OverloadReport report = run({.seed = seed, .spread = 0, .steps = {{burst, 4.0}, {500ms, 0.3}}});
        EXPECT_EQ(report.broken, "") << "seed " << seed;
        return report.recovered_after <= 0.2;
    };
    for (std::uint64_t seed = 1; seed <= 5; ++seed) EXPECT_TRUE(step_back(seed, 2s)) << "seed " << seed;
    // At any load some come together by chance, and wait: once in a thousand runs, long after all is well.
    std::uint64_t later = 0;
    for (std::uint64_t seed = 1; seed <= seeds(100) && !HasFailure(); ++seed) later += !step_back(seed, 300ms);
    EXPECT_LE(later, seeds(100) / 1000);
}

TEST(OverloadSim, normal_keeps_what_critical_leaves) {
    const OverloadReport report = run({.mix = {0.25, 0.5, 0.25}, .steps = {{20s, 2.0}}});
    EXPECT_EQ(report.broken, "");
    EXPECT_GE(report.served_share(Priority::critical), 0.995);
    const double normal = static_cast<double>(report.of[index(Priority::normal)].served) / report.seconds;
    EXPECT_GE(normal, 0.9 * 0.5 * report.capacity) << "half of the capacity is left, and twice as much is asked";
}

TEST(OverloadSim, where_critical_requests_alone_are_too_many_they_are_served_by_age_and_the_rest_refused) {
    const OverloadReport report = run({.mix = {1, 0, 0}, .steps = {{20s, 3.0}}});
    EXPECT_EQ(report.broken, "");
    EXPECT_GE(report.goodput(), 0.97);
    EXPECT_LE(report.latency(.99), 60);
    EXPECT_LE(report.refusal_latency(.99), 2);
}

TEST(OverloadSim, a_burst_refuses_nobody) {
    OverloadSettings settings;
    for (int burst = 0; burst < 10; ++burst)
        for (int i = 0; i < 300; ++i) settings.trace.push_back({burst * 2s, Priority::sheddable, 0, 5ms});
    const OverloadReport report = run(settings);
    EXPECT_EQ(report.broken, "");
    EXPECT_EQ(report.of[index(Priority::sheddable)].served, 3000U);
}

TEST(OverloadSim, a_burst_keeps_the_workers_busy_until_its_last_answer_and_not_for_more_than_all_of_their_time) {
    OverloadSettings settings; // four workers
    for (int i = 0; i < 300; ++i) settings.trace.push_back({0s, Priority::normal, 0, i % 2 ? 8ms : 2ms});
    const OverloadReport report = run(settings);
    EXPECT_EQ(report.broken, "");
    EXPECT_NEAR(report.seconds, 300 * 0.005 / 4, 0.01) << "until the last answer, not the last arrival";
    EXPECT_LE(report.goodput(), 1);
    EXPECT_GT(report.goodput(), 0.97);
}

TEST(OverloadSim, goodput_counts_the_time_of_the_slots_however_unlike_the_requests_are) {
    OverloadSettings settings;
    settings.workers = 1;
    settings.service = 20ms; // the mean of the two kinds, of which the cheap one comes more often here
    for (int i = 0; i < 100; ++i) settings.trace.push_back({i * 10ms, Priority::normal, 0, 8ms});
    const OverloadReport report = run(settings);
    EXPECT_NEAR(report.goodput(), 0.8, 0.01);
}

TEST(OverloadSim, an_answer_after_its_deadline_is_late_and_no_goodput) {
    OverloadSettings settings;
    settings.workers = 1;
    settings.trace = {{.service = 10ms, .deadline = 20ms}, {.at = 10ms, .service = 30ms, .deadline = 20ms}};
    const OverloadReport report = run(settings);
    EXPECT_EQ(report.of[index(Priority::normal)].served, 2U);
    EXPECT_EQ(report.of[index(Priority::normal)].late, 1U);
    EXPECT_NEAR(report.goodput(), 0.25, 1e-6);
}

TEST(OverloadSim, who_waits_in_vain_holds_up_no_lower_priority) {
    OverloadSettings settings;
    settings.workers = 1;
    settings.trace = {{.service = 15ms},
                      {.at = 1ms, .priority = Priority::critical, .service = 5ms, .deadline = 12ms},
                      {.at = 2ms, .priority = Priority::sheddable, .service = 5ms}};
    const OverloadReport report = run(settings);
    EXPECT_EQ(report.broken, "") << "between a deadline and the tick that tells of it a lower priority is served";
    EXPECT_EQ(report.of[index(Priority::sheddable)].served, 1U);
    EXPECT_EQ(report.of[index(Priority::critical)].refused, 1U);
}

TEST(OverloadSim, a_trace_of_one_request_or_of_nothing_but_refusals_has_a_goodput) {
    OverloadSettings settings;
    settings.trace = {{0s, Priority::normal, 0, 5ms}};
    const OverloadReport one = run(settings);
    EXPECT_NEAR(one.seconds, 0.005, 1e-6);
    EXPECT_NEAR(one.goodput(), 0.25, 1e-6) << "one of four workers";
    settings.workers = 0;
    EXPECT_EQ(run(settings).goodput(), 0);
}

TEST(OverloadSim, a_failing_worker_costs_a_handful_of_requests) {
    const OverloadReport report = run({.steps = {{20s, 0.5}}, .failing_worker = 2});
    EXPECT_EQ(report.broken, "");
    std::uint64_t failed = 0;
    for (const Fate& fate : report.of) failed += fate.failed;
    EXPECT_LE(failed, 15U) << "five in a row, and a probe now and then";
}

TEST(OverloadSim, promises_hold_for_every_seed) {
    for (std::uint64_t seed = 1; seed <= seeds(300); ++seed) {
        OverloadSettings settings;
        settings.seed = seed;
        settings.workers = 1 + static_cast<unsigned>(seed % 7);
        settings.slots = 1 + static_cast<unsigned>(seed % 3);
        settings.service = std::chrono::milliseconds(1 + seed % 40);
        settings.spread = static_cast<double>(seed % 5) / 3;
        settings.steps = {{200ms, 0.1 + static_cast<double>(seed % 11)}, {100ms, 0.4}, {100ms, 3.0}};
        settings.client_aborts = seed % 2 ? 0.2 : 0;
        settings.failures = static_cast<double>(seed % 4) / 4;
        if (seed % 3 == 0) settings.failing_worker = 1;
        settings.gate.queue_size = seed % 5 ? 64 : 0;
        settings.gate.route_mode = seed % 2 ? Mode::enforce : Mode::shadow;
        const OverloadReport report = run(settings);
        ASSERT_EQ(report.broken, "") << "seed " << seed;
    }
}

// What costs more than the gate itself is asked about those alone whom it would let in.
TEST(OverloadSim, who_is_refused_on_arrival_is_turned_away_before_anybody_else_is_asked) {
    for (const double load : {2.0, 10.0}) {
        const OverloadReport report = run({.steps = {{20s, load}}});
        EXPECT_GT(report.refused_at_once, 5'000U);
        EXPECT_GT(static_cast<double>(report.foretold), 0.99 * static_cast<double>(report.refused_at_once)) << load;
        EXPECT_LT(static_cast<double>(report.misjudged), 0.01 * static_cast<double>(report.refused_at_once)) << load;
    }
    const OverloadReport calm = run({.steps = {{20s, 0.9}}});
    EXPECT_EQ(calm.misjudged, 0U);
}

} // namespace
} // namespace plimsoll::sim
