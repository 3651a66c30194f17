#include <chrono>
#include <vector>

#include <gtest/gtest.h>

#include "plimsoll/policy/gate.hpp"
#include "unit/policy/start.hpp"

namespace plimsoll {
namespace {

using namespace std::chrono_literals;
using Kind = Gate::Arrival::Kind;

struct SlowStart : testing::Test {
    Gate gate{Gate::Settings{.slow_start = 10s}};
    Gate::Events events;
    Instant now = start;

    void worker(WorkerKey key, unsigned slots) {
        gate.add(key, slots, now);
        gate.accept(key, true, now, events);
    }
    void fill() {
        while (gate.arrive(now, {}, events).kind == Kind::admitted) {
        }
    }
};

TEST_F(SlowStart, a_new_worker_beside_warm_ones_gets_more_and_more_of_those_who_wait) {
    worker(1, 64);
    now += 1min;
    fill();
    for (int i = 0; i < 200; ++i) gate.arrive(now, {}, events);
    worker(2, 64);
    EXPECT_EQ(gate.in_flight(2), 1U);
    for (const auto& [age, most] : {std::pair{1s, 6U}, {5s, 32U}, {9s, 57U}, {10s, 64U}}) {
        gate.expire(start + 1min + age, events);
        // He waits no longer than the queue's timeout; newcomers take his place.
        for (int i = 0; i < 100; ++i) gate.arrive(start + 1min + age, {}, events);
        EXPECT_EQ(gate.in_flight(2), most) << age.count();
    }
}

TEST_F(SlowStart, where_all_are_new_nobody_would_do_it_better) {
    worker(1, 8);
    now += 1s;
    worker(2, 8);
    fill();
    EXPECT_EQ(gate.in_flight(1), 8U);
    EXPECT_EQ(gate.in_flight(2), 8U);
}

TEST_F(SlowStart, it_is_over_without_anybody_waiting_and_does_not_begin_anew_with_the_same_process) {
    worker(1, 8);
    now += 1min;
    worker(2, 8);
    now += 10s;
    fill();
    EXPECT_EQ(gate.in_flight(2), 8U);
    for (int i = 0; i < 8; ++i) gate.depart(now, 2, Outcome::success, events);
    gate.accept(2, false, now, events);
    gate.accept(2, true, now, events);
    fill();
    EXPECT_EQ(gate.in_flight(2), 8U) << "its caches are as warm as before";
}

// As a recycle of a pool's only worker does, whose successor accepts before it goes.
TEST_F(SlowStart, goes_on_after_a_pause_for_who_is_new_still) {
    worker(1, 8);
    now += 1min;
    worker(2, 8);
    gate.accept(2, false, now, events);
    now += 5s;
    gate.accept(2, true, now, events);
    fill();
    EXPECT_EQ(gate.in_flight(2), 4U);
}

// As a recycle of a pool's only worker does, whose successor accepts before it goes.
TEST_F(SlowStart, is_no_bound_once_the_last_warm_worker_has_gone) {
    worker(1, 2);
    now += 1min;
    worker(2, 2);
    gate.accept(1, false, now, events);
    fill();
    EXPECT_EQ(gate.in_flight(2), 2U);
}

TEST_F(SlowStart, those_who_wait_get_the_slots_of_one_whose_warm_neighbour_falls_ill) {
    worker(1, 2);
    now += 1min;
    worker(2, 2);
    fill();
    gate.set_ailing(1, true, now, events);
    EXPECT_EQ(gate.in_flight(2), 2U);
}

TEST_F(SlowStart, is_no_bound_while_no_warm_worker_can_be_asked_and_is_one_again_when_it_can) {
    gate.configure({.rest = 100ms, .slow_start = 10s});
    worker(1, 2);
    now += 1min;
    worker(2, 8);
    while (gate.in_flight(1) == 0) ASSERT_EQ(gate.arrive(now, {}, events).kind, Kind::admitted);
    gate.depart(now, 1, Outcome::refused_upstream, events);
    for (int i = 0; i < 3; ++i) gate.arrive(now, {}, events);
    EXPECT_GE(gate.in_flight(2), 3U) << "it rests";
    now += 200ms;
    while (gate.in_flight(2) > 0) gate.depart(now, 2, Outcome::success, events);
    fill();
    EXPECT_EQ(gate.in_flight(1), 2U);
    EXPECT_EQ(gate.in_flight(2), 1U);
}

// Its rest was over before it was asked about again.
TEST_F(SlowStart, a_rest_that_is_over_counts_no_more) {
    gate.configure({.rest = 100ms, .slow_start = 10s});
    worker(1, 2);
    now += 1min;
    gate.arrive(now, {}, events);
    gate.depart(now, 1, Outcome::refused_upstream, events);
    now += 1s;
    worker(2, 8);
    fill();
    EXPECT_EQ(gate.in_flight(2), 1U);
}

TEST_F(SlowStart, zero_switches_it_off) {
    gate.configure({.slow_start = 0s});
    worker(1, 8);
    now += 1min;
    worker(2, 8);
    fill();
    EXPECT_EQ(gate.in_flight(2), 8U);
}

} // namespace
} // namespace plimsoll
