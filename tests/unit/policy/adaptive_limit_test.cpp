#include "plimsoll/policy/adaptive_limit.hpp"

#include <gtest/gtest.h>

#include "plimsoll/policy/gate.hpp"
#include "unit/policy/start.hpp"

namespace plimsoll {
namespace {

using namespace std::chrono_literals;
using Kind = Gate::Arrival::Kind;

const AdaptiveLimit::Settings bounds{};

// `seconds` of a worker that is full all the time and answers after latency(in flight).
template <class Latency>
void full(AdaptiveLimit& limit, Instant& now, double seconds, Latency latency,
          AdaptiveLimit::Seen seen = AdaptiveLimit::Seen::success) {
    const Instant end = now + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
    while (now < end) {
        const unsigned in_flight = limit.limit(bounds);
        const Duration took = latency(in_flight);
        now += took / in_flight; // Little's law
        limit.ended(now, bounds, in_flight - 1, took, seen);
        limit.began(now, in_flight);
    }
}

TEST(AdaptiveLimit, grows_while_more_at_once_takes_no_longer) {
    AdaptiveLimit limit(8);
    Instant now = start;
    full(limit, now, 30, [](unsigned) { return 20ms; });
    EXPECT_EQ(limit.learned(), bounds.max);
    EXPECT_NEAR(std::chrono::duration<double>(limit.base()).count(), 0.02, 1e-4);
}

TEST(AdaptiveLimit, doubles_at_once_while_nothing_speaks_against_more) {
    AdaptiveLimit limit(8);
    Instant now = start;
    full(limit, now, 2, [](unsigned) { return 90ms; });
    EXPECT_GE(limit.learned(), 64);
}

TEST(AdaptiveLimit, goes_back_from_where_more_at_once_took_longer) {
    AdaptiveLimit limit(8);
    Instant now = start;
    unsigned highest = 0;
    full(limit, now, 5, [&](unsigned in_flight) {
        highest = std::max(highest, in_flight);
        return in_flight * 1ms;
    });
    EXPECT_EQ(highest, 16U);
    EXPECT_LE(limit.learned(), 8);
}

// Its slots are taken and somebody waits; nothing ends. How often it was raised within `seconds`.
unsigned raised(AdaptiveLimit& limit, Instant& now, double seconds) {
    unsigned count = 0;
    for (const Instant end = now + from_seconds(seconds); now < end; now += 10ms) {
        limit.began(now, limit.limit(bounds));
        count += limit.awaited(now, bounds);
    }
    return count;
}

TEST(AdaptiveLimit, what_is_full_with_requests_that_do_not_end_is_raised_thrice_and_no_more) {
    AdaptiveLimit limit(8);
    Instant now = start;
    limit.began(now, 1);
    EXPECT_EQ(raised(limit, now, 2), 3U);
    EXPECT_EQ(limit.limit(bounds), 64U);
    EXPECT_EQ(raised(limit, now, 60), 0U);
}

TEST(AdaptiveLimit, what_is_not_full_is_not_raised_whoever_waits) {
    AdaptiveLimit limit(8);
    limit.began(start, 7);
    EXPECT_FALSE(limit.awaited(start + 1h, bounds));
}

TEST(AdaptiveLimit, a_burst_after_a_rest_is_no_sign_that_nothing_ends) {
    AdaptiveLimit limit(8);
    limit.ended(start, bounds, 0, 10ms, AdaptiveLimit::Seen::success);
    for (unsigned i = 1; i <= 8; ++i) limit.began(start + 1h, i);
    EXPECT_FALSE(limit.awaited(start + 1h + 10ms, bounds));
}

TEST(AdaptiveLimit, another_kind_of_request_is_not_taken_for_slowness) {
    AdaptiveLimit limit(8);
    Instant now = start;
    unsigned count = 0;
    full(limit, now, 5, [&](unsigned) -> Duration { return ++count % 4 == 0 ? 3s : 10ms; });
    EXPECT_LT(limit.base(), 20ms);
    EXPECT_GE(limit.learned(), 8);
}

TEST(AdaptiveLimit, shrinks_where_more_at_once_brings_no_more_though_its_base_was_learned_under_load) {
    AdaptiveLimit limit(100);
    Instant now = start;
    full(limit, now, 120, [](unsigned in_flight) { return in_flight * 5ms; });
    EXPECT_LE(limit.learned(), 8);
    EXPECT_GE(limit.limit(bounds), 1U);
}

TEST(AdaptiveLimit, timeouts_shrink_it_to_the_minimum_and_not_below) {
    AdaptiveLimit limit(8);
    Instant now = start;
    full(
        limit, now, 600, [](unsigned) { return 100ms; }, AdaptiveLimit::Seen::timeout);
    EXPECT_EQ(limit.limit(bounds), 1U);
}

TEST(AdaptiveLimit, what_tells_nothing_changes_nothing) {
    AdaptiveLimit limit(8);
    Instant now = start;
    full(
        limit, now, 10, [](unsigned) { return 1ms; }, AdaptiveLimit::Seen::nothing);
    EXPECT_EQ(limit.learned(), 8);
    EXPECT_EQ(limit.base(), 0ms);
}

TEST(AdaptiveLimit, the_limit_in_force_stays_within_its_bounds_while_it_alternates) {
    for (const unsigned most : {1U, 2U, 3U, 10U}) {
        const AdaptiveLimit::Settings narrow{.min = 1, .initial = 1, .max = most};
        AdaptiveLimit limit(1);
        Instant now = start;
        for (int i = 0; i < 20'000; ++i) {
            now += 1ms;
            limit.began(now, limit.limit(narrow));
            limit.ended(now, narrow, limit.limit(narrow) - 1, 5ms, AdaptiveLimit::Seen::success);
            ASSERT_GE(limit.limit(narrow), 1U);
            ASSERT_LE(limit.limit(narrow), most);
        }
    }
}

TEST(AdaptiveLimit, time_that_stands_still_is_no_trouble) {
    AdaptiveLimit limit(8);
    for (int i = 0; i < 1000; ++i) limit.ended(start, bounds, 1, 0ms, AdaptiveLimit::Seen::success);
    EXPECT_EQ(limit.learned(), 8);
}

struct AdaptiveGate : testing::Test {
    Gate gate{Gate::Settings{}};
    Gate::Events events;
    Instant now = start;

    void worker(WorkerKey key, unsigned slots) {
        gate.add(key, slots, now);
        gate.accept(key, true, now, events);
    }
    // Keeps it full: each answer after 10 ms, however many there are.
    void serve(WorkerKey key, double seconds) {
        const Instant end = now + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
        while (now < end) {
            while (gate.in_flight(key) < gate.slots(key)) ASSERT_EQ(gate.arrive(now, {}, events).kind, Kind::admitted);
            now += Duration(10ms) / gate.slots(key);
            Gate::Departure departure(Outcome::success);
            departure.took = 10ms;
            gate.depart(now, key, departure, events);
        }
    }
};

TEST_F(AdaptiveGate, only_a_worker_whose_slots_nobody_says_learns_them) {
    worker(1, 0);
    worker(2, 3);
    EXPECT_EQ(gate.slots(1), 8U);
    EXPECT_EQ(gate.slots(2), 3U);
    EXPECT_TRUE(gate.learned(1));
    EXPECT_FALSE(gate.learned(2));
    gate.set_slots(1, 5, now, events);
    EXPECT_EQ(gate.slots(1), 5U);
    EXPECT_FALSE(gate.learned(1)) << "somebody has said it now";
}

TEST_F(AdaptiveGate, what_it_learns_are_its_slots_and_a_successors_first_ones) {
    worker(1, 0);
    serve(1, 10);
    EXPECT_GT(gate.slots(1), 50U);
    worker(2, 0);
    EXPECT_GT(gate.slots(2), 50U);
}

TEST_F(AdaptiveGate, who_waits_while_nothing_ends_is_let_in_before_long) {
    worker(1, 0);
    for (int i = 0; i < 20; ++i) gate.arrive(now, {}, events);
    EXPECT_EQ(gate.in_flight(1), 8U);
    for (int i = 0; i < 30; ++i) gate.expire(now += 10ms, events);
    EXPECT_EQ(gate.in_flight(1), 16U);
    for (int i = 0; i < 60; ++i) gate.expire(now += 10ms, events);
    EXPECT_EQ(gate.in_flight(1), 20U);
    EXPECT_EQ(events.size(), 12U);
}

TEST_F(AdaptiveGate, in_shadow_it_learns_and_the_most_slots_hold) {
    gate.configure({.adaptive_mode = Mode::shadow, .most_slots = 20});
    worker(1, 0);
    EXPECT_EQ(gate.slots(1), 20U);
    serve(1, 5);
    EXPECT_EQ(gate.slots(1), 20U);
    EXPECT_GT(gate.learned(1)->slots, 8);
}

TEST_F(AdaptiveGate, in_shadow_who_goes_beyond_the_limit_is_counted) {
    gate.configure({.adaptive_mode = Mode::shadow, .most_slots = 20});
    worker(1, 0);
    for (int i = 0; i < 20; ++i) ASSERT_EQ(gate.arrive(now, {}, events).kind, Kind::admitted);
    EXPECT_EQ(gate.stats().shadow.beyond_limit, 12U) << "eight were within it";
    gate.configure({.most_slots = 20});
    for (int i = 0; i < 20; ++i) gate.depart(now, 1, Outcome::success, events);
    for (int i = 0; i < 20; ++i) gate.arrive(now, {}, events);
    EXPECT_EQ(gate.stats().shadow.beyond_limit, 12U) << "enforced, nobody is";
}

TEST_F(AdaptiveGate, new_bounds_hold_at_once) {
    worker(1, 0);
    serve(1, 10);
    gate.configure({.most_slots = 4});
    gate.set_slots(1, 0, now, events);
    EXPECT_LE(gate.slots(1), 4U);
    EXPECT_GE(gate.slots(1), 3U) << "it alternates";
}

struct StallGate : testing::Test {
    Gate gate{Gate::Settings{.queue_size = 1'000'000}};
    Gate::Events events;

    double refused(Priority priority, Instant now) {
        unsigned refusals = 0;
        for (int i = 0; i < 100; ++i) {
            const auto arrival = gate.arrive(now, {.priority = priority, .draw = (i + 0.5) / 100}, events);
            if (arrival.kind == Kind::refused) {
                EXPECT_EQ(arrival.reason, Reason::memory);
                EXPECT_GT(arrival.retry_after, 0s);
                ++refusals;
            }
        }
        return refusals / 100.0;
    }
};

TEST_F(StallGate, stalls_shed_the_lowest_priority_first_and_critical_never) {
    EXPECT_EQ(refused(Priority::sheddable, start), 0);
    gate.observe_stall(0.1);
    EXPECT_EQ(refused(Priority::sheddable, start), 0);
    gate.observe_stall(0.3);
    EXPECT_NEAR(refused(Priority::sheddable, start), 0.5, 0.01);
    EXPECT_EQ(refused(Priority::normal, start), 0);
    gate.observe_stall(0.5);
    EXPECT_EQ(refused(Priority::sheddable, start), 1);
    EXPECT_NEAR(refused(Priority::normal, start), 0.5, 0.01);
    gate.observe_stall(1);
    EXPECT_EQ(refused(Priority::normal, start), 1);
    EXPECT_EQ(refused(Priority::critical, start), 0);
    EXPECT_TRUE(gate.stats().stall_shedding);
    gate.observe_stall(0);
    EXPECT_EQ(refused(Priority::sheddable, start), 0);
}

TEST_F(StallGate, what_nobody_tells_never_sheds) {
    gate.observe_stall(0.9);
    EXPECT_GT(refused(Priority::normal, start), 0);
    gate.observe_stall(-1);
    EXPECT_EQ(refused(Priority::sheddable, start), 0);
}

TEST_F(StallGate, stalls_that_shedding_does_not_end_are_somebody_elses) {
    gate.observe_stall(0.4);
    EXPECT_GT(refused(Priority::sheddable, start), 0);
    EXPECT_EQ(refused(Priority::sheddable, start + 31s), 0);
}

TEST_F(StallGate, in_shadow_they_are_counted_alone) {
    gate.configure({.memory_mode = Mode::shadow});
    gate.observe_stall(1);
    EXPECT_EQ(refused(Priority::normal, start), 0);
    EXPECT_GT(gate.stats().shadow_refused[index(Reason::memory)], 0U);
}

} // namespace
} // namespace plimsoll
