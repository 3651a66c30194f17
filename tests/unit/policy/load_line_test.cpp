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
        gate.observe(start, key, 0.99, {});
    }
    EXPECT_EQ(gate.arrive(start, {.priority = Priority::sheddable}, events).reason, Reason::memory);
    EXPECT_EQ(gate.arrive(start, {.priority = Priority::normal}, events).reason, Reason::memory);
    EXPECT_EQ(gate.arrive(start, {.priority = Priority::critical}, events).kind, Gate::Arrival::Kind::admitted);
    gate.observe(start, 1, 0.3, {});
    EXPECT_EQ(gate.arrive(start, {.priority = Priority::sheddable}, events).worker, 1U);
    gate.accept(1, false, start, events);
    EXPECT_EQ(gate.arrive(start, {.priority = Priority::sheddable}, events).reason, Reason::memory);
}

struct FullWorkers : testing::Test { // three that are as full as they may get, and one with room
    Gate gate{Gate::Settings{}};
    Gate::Events events;
    Instant now = start;

    void SetUp() override {
        for (WorkerKey key = 1; key <= 4; ++key) {
            gate.add(key, 2, start);
            gate.accept(key, true, start, events);
        }
        pressures(0.97);
    }
    void pressures(double of_three) {
        for (WorkerKey key = 1; key <= 3; ++key) gate.observe(now, key, of_three);
        gate.observe(now, 4, 0.3);
    }
    Gate::Arrival arrive(Priority priority) { return gate.arrive(now, {.priority = priority}, events); }
};

TEST_F(FullWorkers, take_nobody_but_critical_requests_while_another_may_be_asked) {
    EXPECT_EQ(arrive(Priority::normal).worker, 4U);
    EXPECT_EQ(arrive(Priority::sheddable).worker, 4U);
    EXPECT_EQ(arrive(Priority::normal).kind, Gate::Arrival::Kind::queued);
    const auto critical = arrive(Priority::critical);
    ASSERT_EQ(critical.kind, Gate::Arrival::Kind::admitted);
    gate.depart(now, critical.worker, Outcome::success, events);
    EXPECT_TRUE(events.empty()) << "nor does one that comes free there";
    gate.depart(now, 4, Outcome::success, events);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].granted, WorkerKey{4});
}

TEST_F(FullWorkers, take_normal_requests_between_the_line_and_the_limit_and_no_sheddable_ones) {
    pressures(0.92);
    for (int i = 0; i < 2; ++i) EXPECT_EQ(arrive(Priority::normal).worker, 4U) << "it is the better one";
    EXPECT_EQ(arrive(Priority::sheddable).kind, Gate::Arrival::Kind::queued);
    EXPECT_EQ(arrive(Priority::normal).kind, Gate::Arrival::Kind::admitted);
}

TEST_F(FullWorkers, a_retry_goes_where_it_failed_rather_than_wait_for_one_that_takes_it) {
    const Gate::Facts retry{.avoid = WorkerKey{4}};
    EXPECT_EQ(gate.arrive(now, retry, events).worker, 4U);
    arrive(Priority::normal);
    ASSERT_EQ(gate.arrive(now, retry, events).kind, Gate::Arrival::Kind::queued);
    gate.depart(now, 4, Outcome::success, events);
    EXPECT_EQ(events.size(), 1U);
}

// Two slots do what eight would: who cannot wait for that is told so at once.
TEST_F(FullWorkers, are_not_counted_on_where_a_wait_is_estimated) {
    gate.arrive(now, {}, events);
    Gate::Departure served(Outcome::success);
    served.took = 100ms;
    gate.depart(now, 4, served, events);
    for (int i = 0; i < 2; ++i) arrive(Priority::normal);
    EXPECT_EQ(gate.arrive(now, {.deadline = now + 40ms}, events).reason, Reason::deadline);
    EXPECT_EQ(gate.arrive(now, {.deadline = now + 60ms}, events).kind, Gate::Arrival::Kind::queued);
}

// What is critical has more slots, and takes little of those that others wait for.
TEST_F(FullWorkers, leave_what_they_do_themselves_out_of_the_estimate) {
    Gate::Departure served(Outcome::success);
    served.took = 100ms;
    for (; now < start + 5s; now += 25ms) { // four at once
        const auto critical = arrive(Priority::critical);
        ASSERT_EQ(critical.kind, Gate::Arrival::Kind::admitted);
        gate.depart(now, critical.worker, served, events);
    }
    while (gate.in_flight(4) < 2) arrive(Priority::normal);
    EXPECT_EQ(gate.arrive(now, {.deadline = now + 300ms}, events).kind, Gate::Arrival::Kind::queued);
}

// A successor of one of them: with one slot at first it has the only room all the same.
TEST_F(FullWorkers, take_nobody_but_critical_requests_while_one_that_is_new_has_room) {
    gate.configure({.slow_start = 5s});
    gate.accept(4, false, now, events);
    now += 20s;
    pressures(0.97);
    gate.add(5, 2, now);
    gate.accept(5, true, now, events);
    EXPECT_EQ(arrive(Priority::normal).worker, 5U);
    EXPECT_EQ(arrive(Priority::normal).kind, Gate::Arrival::Kind::queued);
}

TEST_F(FullWorkers, take_everybody_where_the_one_with_room_may_not_be_asked) {
    for (int i = 0; i < 2; ++i) arrive(Priority::normal);
    for (int i = 0; i < 2; ++i) gate.depart(now, 4, Outcome::refused_upstream, events);
    EXPECT_EQ(arrive(Priority::sheddable).kind, Gate::Arrival::Kind::admitted) << "it rests: nobody is better";
}

TEST_F(FullWorkers, take_everybody_again_where_their_memory_does_not_fall_by_it) {
    for (int i = 0; i < 2; ++i) arrive(Priority::normal);
    const auto waits = arrive(Priority::normal);
    ASSERT_EQ(waits.kind, Gate::Arrival::Kind::queued);
    now += 4s;
    gate.leave(now, waits.ticket);
    for (; now < start + 31s; now += 500ms) pressures(0.97);
    EXPECT_EQ(arrive(Priority::sheddable).kind, Gate::Arrival::Kind::admitted);
}

TEST_F(FullWorkers, take_everybody_once_they_have_room_or_memory_is_not_looked_at) {
    for (int i = 0; i < 2; ++i) arrive(Priority::normal);
    gate.arrive(now, {}, events);
    pressures(0.5);
    gate.expire(now, events);
    EXPECT_EQ(events.size(), 1U) << "who waited is let in";
    pressures(0.97);
    ASSERT_EQ(arrive(Priority::normal).kind, Gate::Arrival::Kind::queued);
    gate.configure({.memory_mode = Mode::off});
    gate.expire(now, events);
    EXPECT_EQ(events.size(), 2U);
}

} // namespace
} // namespace plimsoll
