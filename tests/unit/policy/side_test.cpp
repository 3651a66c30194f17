// An experiment's wish at the gate: it chooses between workers that are free and alike, and nothing else.
#include <random>

#include <gtest/gtest.h>

#include "plimsoll/policy/affinity.hpp"
#include "plimsoll/policy/gate.hpp"
#include "unit/policy/start.hpp"

namespace plimsoll {
namespace {

using namespace std::chrono_literals;
using Kind = Gate::Arrival::Kind;

struct SideTest : testing::Test {
    Gate gate{Gate::Settings{}};
    Gate::Events events;

    void worker(WorkerKey key, unsigned slots = 1, double pressure = 0.5, std::uint64_t place = 0) {
        gate.add(key, slots, start, place);
        gate.observe(start, key, pressure);
        gate.accept(key, true, start, events);
    }
    void homes(std::vector<WorkerKey> keys) { gate.set_homes(keys); }
    Gate::Arrival arrive(Side side, double draw = 0.3) {
        return gate.arrive(start, {.draw = draw, .side = side}, events);
    }
};

TEST_F(SideTest, a_free_worker_on_the_wanted_side_is_taken_whatever_chance_says) {
    worker(1), worker(2);
    homes({2});
    for (const double draw : {0.01, 0.4, 0.6, 0.99}) {
        EXPECT_EQ(arrive(Side::home, draw).worker, 2U);
        EXPECT_EQ(arrive(Side::away, draw).worker, 1U);
        for (const WorkerKey key : {1U, 2U}) gate.depart(start, key, Outcome::success, events);
    }
}

TEST_F(SideTest, nobody_waits_for_his_side) {
    worker(1), worker(2);
    homes({2});
    EXPECT_EQ(arrive(Side::home).worker, 2U);
    EXPECT_EQ(arrive(Side::home).worker, 1U);
    EXPECT_EQ(arrive(Side::home).kind, Kind::queued);
}

TEST_F(SideTest, a_worker_gets_no_more_than_one_request_beyond_its_share) {
    worker(1, 8), worker(2, 8);
    homes({2});
    for (int i = 0; i < 10; ++i) arrive(Side::home);
    EXPECT_LE(gate.in_flight(2) - gate.in_flight(1), 2U);
    EXPECT_GT(gate.in_flight(2), gate.in_flight(1));
}

TEST_F(SideTest, memory_comes_first) {
    worker(1, 1, 0.5), worker(2, 1, 0.9);
    homes({2});
    EXPECT_EQ(arrive(Side::home).worker, 1U);
}

TEST_F(SideTest, without_an_experiment_the_picker_does_as_always) {
    worker(1, 1, 0.3), worker(2, 1, 0.7);
    homes({2});
    EXPECT_EQ(arrive(Side::any).worker, 1U); // the lower pressure
}

TEST_F(SideTest, a_session_goes_home_to_its_own_worker) {
    worker(1, 4, 0.5, 11), worker(2, 4, 0.5, 22);
    const std::uint64_t session = 12345;
    const WorkerKey own = gate.arrive(start, {.affinity = session}, events).worker;
    homes({own == 1 ? 2U : 1U});
    EXPECT_EQ(gate.arrive(start, {.affinity = session, .side = Side::home}, events).worker, own);
}

TEST_F(SideTest, a_freed_slot_goes_to_a_waiter_who_is_wanted_there_if_the_first_has_hardly_waited) {
    worker(1), worker(2);
    homes({2});
    arrive(Side::any), arrive(Side::any);
    Gate::Departure slow(Outcome::success);
    slow.took = 100ms;
    const auto first = arrive(Side::home), second = arrive(Side::away);
    gate.depart(start + 10ms, 1, slow, events);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].ticket, second.ticket);
    gate.depart(start + 20ms, 2, slow, events);
    ASSERT_EQ(events.size(), 2U);
    EXPECT_EQ(events[1].ticket, first.ticket);
}

TEST_F(SideTest, who_has_waited_a_service_time_is_passed_by_nobody) {
    worker(1), worker(2);
    homes({2});
    arrive(Side::any), arrive(Side::any);
    Gate::Departure quick(Outcome::success);
    quick.took = 5ms;
    const auto first = arrive(Side::home);
    arrive(Side::away);
    gate.depart(start + 10ms, 1, quick, events);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].ticket, first.ticket);
}

TEST_F(SideTest, a_freed_slot_goes_to_the_first_where_nobody_else_is_wanted) {
    worker(1), worker(2);
    homes({2});
    arrive(Side::any), arrive(Side::any);
    const auto first = arrive(Side::home);
    arrive(Side::home);
    Gate::Departure slow(Outcome::success);
    slow.took = 100ms;
    gate.depart(start + 10ms, 1, slow, events);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].ticket, first.ticket);
}

} // namespace
} // namespace plimsoll
