// What the adaptive limit promises an event loop, on a model (await_sim.hpp): what only awaits is given what it asks for at
// once, what computes is kept short, and from the one to the other it finds by itself.
#include "sim/await_sim.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace plimsoll::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t runs = 5;

template <class Claim>
void for_seeds(AwaitSettings settings, Claim claim) {
    for (settings.seed = 1; settings.seed <= runs; ++settings.seed) {
        SCOPED_TRACE(testing::Message() << "seed " << settings.seed);
        claim(run(settings));
    }
}

unsigned limit_at(const AwaitReport& report, Duration at) {
    return report.limits[static_cast<std::size_t>(at / 100ms) - 1];
}
unsigned highest(const AwaitReport& report, Duration from) {
    return *std::max_element(report.limits.begin() + from / 100ms, report.limits.end());
}

Clients quick(unsigned count) { return {.count = count, .awaits = 10ms}; }
Clients slow(unsigned count) { return {.count = count, .awaits = 3s}; }
Clients computing(double rate, Duration each) { return {.rate = rate, .computes = each}; }

TEST(AwaitSim, slow_requests_that_await_do_not_starve_the_quick_ones) {
    for_seeds({.groups = {quick(10), slow(40)}}, [](const AwaitReport& report) {
        EXPECT_GE(report.groups[0].answered, 9'000U) << "10,000 without a limit";
        EXPECT_LE(report.groups[0].quantile(0.99), 20);
        EXPECT_GE(report.groups[1].answered, 110U);
        EXPECT_EQ(report.groups[0].refused + report.groups[1].refused, 0U);
    });
    Clients unlike = slow(50);
    unlike.awaits_up_to = 10s;
    for_seeds({.groups = {quick(10), unlike}}, [](const AwaitReport& report) {
        EXPECT_GE(report.groups[0].answered, 9'000U);
        EXPECT_EQ(report.groups[0].refused + report.groups[1].refused, 0U);
    });
}

TEST(AwaitSim, nor_do_they_where_clients_do_not_wait_for_one_another) {
    for_seeds({.groups = {{.rate = 170, .awaits = 10ms}, {.rate = 10, .awaits = 3s}}}, [](const AwaitReport& report) {
        EXPECT_GE(report.groups[0].answered, 1'550U) << "1,700 are asked";
        EXPECT_LE(report.groups[0].quantile(0.99), 150);
        EXPECT_EQ(report.groups[0].refused + report.groups[1].refused, 0U);
    });
}

TEST(AwaitSim, what_only_awaits_is_given_what_it_asks_for_within_a_second_or_two) {
    for_seeds({.groups = {{.count = 40, .awaits = 90ms}}}, [](const AwaitReport& report) {
        EXPECT_GE(limit_at(report, 1500ms), 40U);
        EXPECT_GE(report.groups[0].answered, 4'000U) << "4,440 without a limit";
    });
    for_seeds({.groups = {slow(60)}}, [](const AwaitReport& report) {
        EXPECT_GE(limit_at(report, 3s), 60U) << "though none has ended at first that would tell anything";
        EXPECT_EQ(report.groups[0].refused, 0U);
    });
}

TEST(AwaitSim, what_computes_keeps_its_limit_small_under_overload) {
    for_seeds({.length = 20s, .groups = {computing(2'000, 2ms)}}, [](const AwaitReport& report) {
        EXPECT_LE(highest(report, 5s), 8U) << "four times what it can do";
        EXPECT_GE(report.groups[0].answered, 9'500U) << "10,000 are all that it can";
        EXPECT_LE(report.groups[0].quantile(0.99), 120);
    });
}

TEST(AwaitSim, where_it_awaits_and_computes_it_is_busy_and_its_line_short) {
    for_seeds({.length = 20s, .groups = {{.count = 100, .awaits = 20ms, .computes = 2ms}}},
              [](const AwaitReport& report) {
                  EXPECT_GE(report.groups[0].answered, 8'800U) << "10,000 are all that it can";
                  EXPECT_LE(highest(report, 5s), 40U) << "eleven are enough";
              });
}

TEST(AwaitSim, slow_ones_that_await_beside_computing_under_overload_leave_it_busy) {
    for_seeds({.length = 30s, .groups = {computing(2'000, 2ms), {.rate = 5, .awaits = 3s}}},
              [](const AwaitReport& report) {
                  EXPECT_GE(report.groups[0].answered, 10'500U) << "15,000 are all that it can";
                  EXPECT_LE(report.groups[0].quantile(0.99), 150);
              });
}

TEST(AwaitSim, demand_that_goes_takes_the_limit_with_it) {
    Clients many{.count = 100, .awaits = 20ms, .to = 10s};
    for_seeds({.length = 40s, .groups = {many, {.count = 4, .awaits = 20ms, .from = 10s}}},
              [](const AwaitReport& report) {
                  EXPECT_GE(limit_at(report, 9s), 100U);
                  EXPECT_LE(limit_at(report, 40s), 16U) << "or it would mean nothing, and learn nothing";
              });
}

TEST(AwaitSim, what_awaited_and_now_computes_is_found_out) {
    Clients awaits{.count = 100, .awaits = 20ms, .to = 10s};
    Clients computes{.rate = 2'000, .computes = 2ms, .from = 10s};
    for_seeds({.length = 30s, .groups = {awaits, computes}}, [](const AwaitReport& report) {
        EXPECT_GE(limit_at(report, 9s), 100U);
        EXPECT_LE(limit_at(report, 20s), 10U);
        EXPECT_GE(report.groups[1].answered, 9'500U);
    });
    // Its clients are so few that the limit holds nobody: what they wait for tells all the same.
    Clients few{.count = 40, .awaits = 20ms, .to = 10s}, same{.count = 40, .computes = 20ms, .from = 10s};
    for_seeds({.length = 50s, .groups = {few, same}}, [](const AwaitReport& report) {
        EXPECT_LE(limit_at(report, 20s), 40U);
        EXPECT_LE(limit_at(report, 50s), 8U);
    });
}

TEST(AwaitSim, a_loop_that_is_blocked_now_and_then_is_not_flooded_each_time) {
    AwaitSettings settings{.length = 60s, .groups = {computing(300, 2ms), {.rate = 0.1, .computes = 3s}}};
    double sum = 0, count = 0;
    for_seeds(settings, [&](const AwaitReport& report) {
        EXPECT_LE(highest(report, 30s), 64U) << "eight times what it had";
        for (std::size_t i = 30s / 100ms; i < report.limits.size(); ++i) sum += report.limits[i], ++count;
    });
    EXPECT_LE(sum / count, 10) << "once it is known that raising was for nothing";
}

} // namespace
} // namespace plimsoll::sim
