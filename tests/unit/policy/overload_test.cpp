#include "plimsoll/policy/overload.hpp"

#include <gtest/gtest.h>

#include "plimsoll/policy/gate.hpp"
#include "plimsoll/policy/queue.hpp"
#include "unit/policy/start.hpp"

namespace plimsoll {
namespace {

using namespace std::chrono_literals;
using Kind = Gate::Arrival::Kind;

// A queue that stands with `waiting` requests of 5 ms each on 4 workers, for `length`.
bool overloaded_after(Overload& overload, Duration length, double arrivals_a_ms, double departures_a_ms, int waiting,
                      bool workers_missing = false) {
    double in = 0, out = 0, now_waiting = waiting;
    for (Duration at{}; at < length; at += 1ms) {
        for (in += arrivals_a_ms; in >= 1; --in, ++now_waiting) overload.arrived();
        for (out += departures_a_ms; out >= 1; --out, --now_waiting) overload.departed();
        overload.look(start + at, {now_waiting > 0, 6ms, std::chrono::duration_cast<Duration>(now_waiting * 1250us),
                                   5ms, workers_missing});
    }
    return overload.on();
}

TEST(Overload, more_than_can_be_done_is_overload_within_the_fifth_of_a_second) {
    Overload twice, ten_times;
    EXPECT_TRUE(overloaded_after(twice, 200ms, 1.6, 0.8, 0));
    EXPECT_TRUE(overloaded_after(ten_times, 60ms, 8, 0.8, 0));
}

TEST(Overload, a_burst_that_is_being_worked_off_is_none) {
    Overload overload;
    EXPECT_FALSE(overloaded_after(overload, 1s, 0.4, 0.8, 1000));
}

TEST(Overload, clients_that_take_turns_are_none_however_many_they_are) {
    Overload overload;
    EXPECT_FALSE(overloaded_after(overload, 60s, 0.8, 0.8, 500));
}

TEST(Overload, while_workers_are_missing_a_longer_queue_is_borne) {
    Overload recycle, for_good;
    EXPECT_FALSE(overloaded_after(recycle, 800ms, 0.9, 0.6, 0, true));
    EXPECT_FALSE(overloaded_after(for_good, 5s, 0.9, 0.6, 0, true));
}

TEST(Overload, it_is_over_when_nobody_had_to_be_refused_for_a_while) {
    Overload overload;
    ASSERT_TRUE(overloaded_after(overload, 200ms, 1.6, 0.8, 0));
    overload.hopeless(start + 200ms);
    overload.look(start + 600ms, {.target = 5ms});
    EXPECT_TRUE(overload.on());
    overload.look(start + 800ms, {.target = 5ms});
    EXPECT_FALSE(overload.on());
}

Queue::Waiting waiting(Priority priority, Instant arrived) { return {0, priority, arrived, never, {}, 0}; }
constexpr auto anybody = [](const Queue::Waiting&) { return true; };

TEST(Queue, the_oldest_is_next_and_under_overload_the_oldest_fresh_one_then_the_newest) {
    Queue queue;
    std::vector<Ticket> tickets;
    for (int i = 0; i < 4; ++i) tickets.push_back(queue.add(waiting(Priority::normal, start + i * 10ms)));
    const auto next = [&](Instant fresh_since) { return queue.next(Priority::normal, fresh_since, anybody)->ticket; };
    EXPECT_EQ(next({}), tickets[0]);
    EXPECT_EQ(next(start + 15ms), tickets[2]);
    EXPECT_EQ(next(start + 1s), tickets[3]) << "nobody is fresh: the newest may still be there";
}

TEST(Queue, who_may_not_is_passed_over_and_who_left_is_gone) {
    Queue queue;
    const auto first = queue.add(waiting(Priority::normal, start));
    const auto second = queue.add(waiting(Priority::normal, start));
    EXPECT_EQ(queue.next(Priority::normal, {}, [&](const auto& each) { return each.ticket != first; })->ticket, second);
    EXPECT_TRUE(queue.remove(first));
    EXPECT_FALSE(queue.remove(first));
    EXPECT_EQ(queue.size(), 1U);
}

// Four workers of 5 ms and a gate that has learned that, with more asked of it than they can do.
struct OverloadedGate : testing::Test {
    Gate gate{Gate::Settings{.queue_target = 5ms}};
    Gate::Events events;
    Instant now = start;

    void SetUp() override {
        for (WorkerKey key = 1; key <= 4; ++key) {
            gate.add(key, 1, now);
            gate.accept(key, true, now, events);
        }
        for (WorkerKey key = 1; key <= 4; ++key) gate.arrive(now, {}, events);
        for (int i = 0; i < 400; ++i) step(4);
        ASSERT_TRUE(gate.stats().overloaded);
    }
    void step(int arrivals, Gate::Facts facts = {}) { // 1.25 ms: one worker ends, `arrivals` come
        now += 1250us;
        Gate::Departure departure(Outcome::success);
        departure.took = 5ms;
        gate.depart(now, ++turn_ % 4 + 1, departure, events);
        for (int i = 0; i < arrivals; ++i) gate.arrive(now, facts, events);
    }
    WorkerKey turn_ = 0;
};

TEST_F(OverloadedGate, who_would_wait_longer_than_the_target_is_refused_at_once_with_a_hint) {
    const auto refused = gate.arrive(now, {}, events);
    EXPECT_EQ(refused.kind, Kind::refused);
    EXPECT_EQ(refused.reason, Reason::concurrency);
    EXPECT_GE(refused.retry_after, 1s);
    EXPECT_EQ(gate.arrive(now, {.priority = Priority::critical}, events).kind, Kind::queued);
}

TEST_F(OverloadedGate, those_who_are_refused_are_not_told_to_come_back_together) {
    std::array<bool, 31> told{};
    for (int i = 0; i < 100; ++i) {
        const auto refused = gate.arrive(now, {.priority = Priority::sheddable, .draw = i / 100.0}, events);
        if (refused.kind != Kind::refused) continue;
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(refused.retry_after).count();
        ASSERT_GE(seconds, 1);
        ASSERT_LE(seconds, 45);
        told[static_cast<std::size_t>(std::min<std::int64_t>(seconds, 30))] = true;
    }
    EXPECT_GE(std::ranges::count(told, true), 3);
}

TEST_F(OverloadedGate, when_less_is_asked_nobody_is_refused_any_more) {
    for (int i = 0; i < 20; ++i) step(0);
    for (int i = 0; i < 1000; ++i) {
        step(0);
        const auto arrival = gate.arrive(now, {}, events);
        EXPECT_EQ(arrival.kind, Kind::admitted);
    }
    EXPECT_FALSE(gate.stats().overloaded);
}

TEST_F(OverloadedGate, shadow_counts_and_refuses_nobody) {
    gate.configure({.queue_target = 5ms, .overload_mode = Mode::shadow});
    const auto before = gate.stats().shadow_refused[index(Reason::concurrency)];
    EXPECT_EQ(gate.arrive(now, {}, events).kind, Kind::queued);
    EXPECT_EQ(gate.stats().shadow_refused[index(Reason::concurrency)], before + 1);
}

TEST(GateDeadline, who_cannot_be_served_in_time_is_refused_before_he_waits) {
    Gate gate{Gate::Settings{}};
    Gate::Events events;
    gate.add(1, 1, start);
    gate.accept(1, true, start, events);
    gate.arrive(start, {}, events);
    Gate::Departure departure(Outcome::success);
    departure.took = 1s;
    gate.depart(start + 1s, 1, departure, events);
    gate.arrive(start + 1s, {}, events);
    EXPECT_EQ(gate.arrive(start + 1s, {.deadline = start + 1500ms}, events).reason, Reason::deadline);
    EXPECT_EQ(gate.arrive(start + 1s, {.deadline = start + 5s}, events).kind, Kind::queued);
}

TEST(GateDeadline, who_is_too_late_when_a_slot_comes_free_does_not_cost_it) {
    Gate gate{Gate::Settings{}};
    Gate::Events events;
    gate.add(1, 1, start);
    gate.accept(1, true, start, events);
    gate.arrive(start, {}, events);
    gate.arrive(start, {.deadline = start + 1s}, events);
    const auto patient = gate.arrive(start, {}, events);
    gate.depart(start + 2s, 1, Outcome::success, events);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].ticket, patient.ticket);
}

} // namespace
} // namespace plimsoll
