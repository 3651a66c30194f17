#include "plimsoll/policy/load_line.hpp"

#include <gtest/gtest.h>

#include "plimsoll/policy/gate.hpp"
#include "unit/policy/start.hpp"

namespace plimsoll {
namespace {

using namespace std::chrono_literals;

const LoadLine::Settings settings;

double shed(const LoadLine& line, Priority priority) { return line.share(settings, priority); }

TEST(LoadLine, the_lowest_priority_is_shed_first_and_critical_never) {
    LoadLine line;
    line.observe(start, settings, 0.84);
    EXPECT_EQ(shed(line, Priority::sheddable), 0);
    line.observe(start, settings, 0.875);
    EXPECT_NEAR(shed(line, Priority::sheddable), 0.5, 1e-9);
    EXPECT_EQ(shed(line, Priority::normal), 0);
    line.observe(start, settings, 0.925);
    EXPECT_EQ(shed(line, Priority::sheddable), 1);
    EXPECT_NEAR(shed(line, Priority::normal), 0.5, 1e-9);
    line.observe(start, settings, 1.5);
    EXPECT_EQ(shed(line, Priority::normal), 1);
    EXPECT_EQ(shed(line, Priority::critical), 0);
}

TEST(LoadLine, it_sheds_on_until_pressure_is_well_below_the_line) {
    LoadLine line;
    line.observe(start, settings, 0.86);
    line.observe(start + 1s, settings, 0.81);
    EXPECT_GT(shed(line, Priority::sheddable), 0);
    line.observe(start + 2s, settings, 0.79);
    EXPECT_EQ(shed(line, Priority::sheddable), 0);
    line.observe(start + 3s, settings, 0.84);
    EXPECT_EQ(shed(line, Priority::sheddable), 0);
}

TEST(LoadLine, a_level_that_shedding_does_not_lower_is_not_shed_for_ever) {
    LoadLine line;
    for (Duration at{}; at <= 29s; at += 1s) line.observe(start + at, settings, 0.93);
    EXPECT_TRUE(line.shedding());
    line.observe(start + 30s, settings, 0.93);
    EXPECT_TRUE(line.futile());
    EXPECT_EQ(shed(line, Priority::sheddable), 0);
    line.observe(start + 1h, settings, 0.94);
    EXPECT_TRUE(line.futile());
    line.observe(start + 2h, settings, 0.96);
    EXPECT_TRUE(line.shedding()) << "it rises again: perhaps that is the load";
}

// Of a host that others fill: they come and go, and what the pool sheds changes nothing.
TEST(LoadLine, a_level_that_others_move_up_and_down_is_not_shed_for_ever) {
    LoadLine line;
    Duration shed_for{};
    for (Duration at{}; at < 1h; at += 1s) {
        line.observe(start + at, settings, at % 14s < 7s ? 0.93 : 0.89);
        if (line.shedding()) shed_for += 1s;
    }
    EXPECT_LE(shed_for, 2min);
    EXPECT_TRUE(line.futile());
    line.observe(start + 1h, settings, 0.96);
    EXPECT_TRUE(line.shedding()) << "that is more than others had moved it";
}

TEST(LoadLine, a_level_that_is_told_now_and_then_is_not_shed_for_ever) {
    LoadLine line;
    Duration shed_for{};
    for (Duration at{}; at < 1h; at += 1s) {
        line.observe(start + at, settings, at % 15s < 10s ? 0.93 : -1);
        if (line.shedding()) shed_for += 1s;
    }
    EXPECT_LE(shed_for, 1min);
    line.observe(start + 2h, settings, -1);
    line.observe(start + 2h + 1s, settings, 0.93);
    EXPECT_TRUE(line.shedding()) << "nobody knows what came meanwhile";
}

TEST(LoadLine, shedding_that_helps_goes_on_as_long_as_it_does) {
    LoadLine line;
    double pressure = 0.95;
    for (Duration at{}; at < 100s; at += 20s, pressure -= 0.015) {
        line.observe(start + at, settings, pressure);
        EXPECT_TRUE(line.shedding());
    }
}

TEST(LoadLine, a_stale_reading_never_sheds) {
    LoadLine line;
    line.observe(start, settings, 0.95);
    line.observe(start + 1s, settings, -1);
    EXPECT_EQ(shed(line, Priority::sheddable), 0);
}

TEST(GateLoadLine, a_pool_with_room_in_one_worker_sheds_nobody) {
    Gate gate{Gate::Settings{}};
    Gate::Events events;
    for (WorkerKey key = 1; key <= 2; ++key) {
        gate.add(key, 8, start);
        gate.accept(key, true, start, events);
        gate.observe(key, 0.99, {});
    }
    EXPECT_EQ(gate.arrive(start, {.priority = Priority::sheddable}, events).reason, Reason::memory);
    EXPECT_EQ(gate.arrive(start, {.priority = Priority::normal}, events).reason, Reason::memory);
    EXPECT_EQ(gate.arrive(start, {.priority = Priority::critical}, events).kind, Gate::Arrival::Kind::admitted);
    gate.observe(1, 0.3, {});
    EXPECT_EQ(gate.arrive(start, {.priority = Priority::sheddable}, events).worker, 1U);
    gate.accept(1, false, start, events);
    EXPECT_EQ(gate.arrive(start, {.priority = Priority::sheddable}, events).reason, Reason::memory);
}

} // namespace
} // namespace plimsoll
