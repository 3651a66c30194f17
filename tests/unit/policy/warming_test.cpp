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

TEST_F(SlowStart, it_is_over_without_anybody_waiting_and_begins_anew_with_the_next_life) {
    worker(1, 8);
    now += 1min;
    worker(2, 8);
    now += 10s;
    fill();
    EXPECT_EQ(gate.in_flight(2), 8U);
    for (int i = 0; i < 8; ++i) gate.depart(now, 2, Outcome::success, events);
    gate.accept(2, false, now, events);
    gate.accept(2, true, now, events);
    events.clear();
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
