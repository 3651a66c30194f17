#include "plimsoll/policy/gate.hpp"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "unit/policy/start.hpp"

namespace plimsoll {
namespace {

using namespace std::chrono_literals;
using Kind = Gate::Arrival::Kind;

struct Fixture : testing::Test {
    Gate gate{Gate::Settings{.queue_size = 2, .queue_timeout = 5s}};
    Gate::Events events;

    void worker(WorkerKey key, unsigned slots = 1, double pressure = 0.5) {
        gate.add(key, slots, start);
        gate.observe(start, key, pressure);
        gate.accept(key, true, start, events);
    }
    Gate::Arrival arrive(Gate::Facts facts = {}, Instant now = start) { return gate.arrive(now, facts, events); }
    void depart(WorkerKey key) { gate.depart(start, key, Outcome::success, events); }
    // He waits for as long as the only worker rests, and not a tick longer.
    void expect_granted_after(Duration rest, const Gate::Arrival& waiting, WorkerKey by) {
        EXPECT_TRUE(events.empty()) << "the slot was given away at once";
        gate.expire(start + rest - 1ms, events);
        EXPECT_TRUE(events.empty());
        gate.expire(start + rest, events);
        ASSERT_EQ(events.size(), 1U);
        EXPECT_EQ(events[0].ticket, waiting.ticket);
        EXPECT_EQ(events[0].granted, by);
    }
};
using GateTest = Fixture;

TEST_F(GateTest, a_request_goes_only_to_a_free_slot) {
    worker(1);
    EXPECT_EQ(arrive().kind, Kind::admitted);
    const auto second = arrive();
    EXPECT_EQ(second.kind, Kind::queued);
    EXPECT_EQ(gate.in_flight(1), 1U);
    depart(1);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].ticket, second.ticket);
    EXPECT_EQ(events[0].granted, WorkerKey{1});
    EXPECT_EQ(gate.in_flight(1), 1U);
}

TEST_F(GateTest, a_full_queue_refuses) {
    worker(1);
    for (int i = 0; i < 3; ++i) arrive();
    const auto fourth = arrive();
    EXPECT_EQ(fourth.kind, Kind::refused);
    EXPECT_EQ(fourth.reason, Reason::queue_full);
    EXPECT_GT(fourth.retry_after, 0s);
}

TEST_F(GateTest, a_full_queue_gives_up_a_lower_priority_for_a_higher_one) {
    worker(1);
    arrive();
    arrive({.priority = Priority::normal});
    const auto sheddable = arrive({.priority = Priority::sheddable});
    EXPECT_EQ(arrive({.priority = Priority::critical}).kind, Kind::queued);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].ticket, sheddable.ticket);
    EXPECT_EQ(events[0].reason, Reason::queue_full);
    EXPECT_EQ(arrive({.priority = Priority::sheddable}).kind, Kind::refused);
}

TEST_F(GateTest, the_highest_priority_is_served_first) {
    worker(1);
    arrive();
    arrive({.priority = Priority::sheddable});
    const auto critical = arrive({.priority = Priority::critical});
    depart(1);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].ticket, critical.ticket);
}

TEST_F(GateTest, who_waits_too_long_is_told_why) {
    worker(1);
    arrive();
    arrive();
    gate.expire(start + 4s, events);
    EXPECT_TRUE(events.empty());
    gate.expire(start + 5s, events);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].reason, Reason::queue_timeout);

    events.clear();
    arrive();
    gate.accept(1, false, start, events);
    gate.expire(start + 5s, events);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].reason, Reason::no_workers);
}

TEST_F(GateTest, a_passed_deadline_never_costs_a_worker) {
    worker(1);
    EXPECT_EQ(arrive({.deadline = start}).reason, Reason::deadline);
    arrive();
    arrive({.deadline = start + 1s});
    gate.expire(start + 1s, events);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].reason, Reason::deadline);
}

TEST_F(GateTest, who_left_is_not_granted_a_slot) {
    worker(1);
    arrive();
    const auto second = arrive();
    EXPECT_TRUE(gate.leave(start, second.ticket));
    EXPECT_FALSE(gate.leave(start, second.ticket));
    depart(1);
    EXPECT_TRUE(events.empty());
    EXPECT_EQ(gate.in_flight(1), 0U);
}

TEST_F(GateTest, a_draining_worker_gets_nothing_new_and_finishes_what_it_has) {
    worker(1, 2);
    worker(2, 2);
    const auto first = arrive();
    gate.accept(first.worker, false, start, events);
    for (int i = 0; i < 2; ++i) EXPECT_NE(arrive().worker, first.worker);
    EXPECT_EQ(arrive().kind, Kind::queued);
    depart(first.worker);
    EXPECT_EQ(gate.in_flight(first.worker), 0U);
    EXPECT_TRUE(events.empty());
}

TEST_F(GateTest, permits_of_a_removed_worker_still_depart) {
    worker(1);
    arrive();
    gate.remove(1);
    EXPECT_EQ(gate.in_flight(1), 1U);
    EXPECT_EQ(arrive().kind, Kind::queued);
    depart(1);
    EXPECT_EQ(gate.in_flight(1), 0U);
    EXPECT_TRUE(gate.stats().workers.empty());
    depart(1);
    EXPECT_EQ(gate.in_flight(1), 0U) << "a second departure is no slot more";
}

TEST_F(GateTest, a_retry_goes_elsewhere_where_it_can) {
    worker(1, 4);
    worker(2, 1);
    EXPECT_EQ(arrive({.avoid = 1}).worker, WorkerKey{2});
    EXPECT_EQ(arrive({.avoid = 1}).kind, Kind::queued) << "the other worker is busy, not gone";
    gate.accept(2, false, start, events);
    gate.expire(start, events);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].granted, WorkerKey{1}) << "nobody else is left";
}

// A dead process is the least loaded worker of all: without a rest everybody would be sent to it.
TEST_F(GateTest, a_worker_that_refused_a_connection_is_passed_over_for_a_moment) {
    worker(1, 4);
    worker(2, 4);
    for (int i = 0; i < 2; ++i) arrive({.avoid = WorkerKey{1}}); // two are on worker 2, so 1 is the less loaded one
    EXPECT_EQ(arrive().worker, 1U);
    gate.depart(start, 1, Outcome::refused_upstream, events);
    EXPECT_EQ(arrive({}, start + 99ms).worker, 2U);
    EXPECT_EQ(arrive({}, start + 100ms).worker, 1U);
}

TEST_F(GateTest, a_worker_that_broke_a_connection_off_gets_nobody_for_a_moment) {
    worker(1);
    arrive();
    const auto waiting = arrive();
    gate.broke_off(start, 1);
    gate.depart(start, 1, Outcome::failure, events);
    expect_granted_after(20ms, waiting, 1);
}

TEST_F(GateTest, a_worker_that_is_ending_gets_nobody_until_it_is_removed) {
    worker(1);
    arrive();
    const auto waiting = arrive();
    gate.broke_off(start, 1);
    gate.is_ending(start, 1);
    gate.depart(start, 1, Outcome::failure, events);
    gate.expire(start + 1999ms, events);
    EXPECT_TRUE(events.empty()) << "the next one was sent to a process that is ending";
    gate.remove(1);
    worker(2);
    gate.expire(start + 1999ms, events);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].ticket, waiting.ticket);
    EXPECT_EQ(events[0].granted, WorkerKey{2});
}

TEST_F(GateTest, a_worker_that_was_to_end_and_did_not_is_asked_again_after_two_seconds) {
    worker(1);
    arrive();
    const auto waiting = arrive();
    gate.is_ending(start, 1);
    gate.depart(start, 1, Outcome::failure, events);
    expect_granted_after(2s, waiting, 1);
}

TEST_F(GateTest, while_the_only_worker_rests_requests_wait_instead_of_failing) {
    worker(1);
    arrive();
    const auto waiting = arrive();
    gate.depart(start, 1, Outcome::refused_upstream, events);
    expect_granted_after(100ms, waiting, 1);
}

TEST_F(GateTest, a_worker_that_is_said_to_accept_rests_no_longer) {
    worker(1);
    arrive();
    const auto waiting = arrive();
    gate.depart(start, 1, Outcome::refused_upstream, events);
    gate.accept(1, true, start, events);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].ticket, waiting.ticket);
}

TEST_F(GateTest, the_least_loaded_worker_with_most_headroom_is_picked) {
    worker(1, 4, 0.6);
    worker(2, 4, 0.2);
    EXPECT_EQ(arrive().worker, WorkerKey{2});
    EXPECT_EQ(arrive().worker, WorkerKey{1});
    gate.observe(start, 2, 0.9);
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(arrive().worker, WorkerKey{1}) << "above the load line only when others are full";
    EXPECT_EQ(arrive().worker, WorkerKey{2});
}

TEST_F(GateTest, while_all_are_above_the_load_line_only_sheddable_requests_are_shed) {
    worker(1, 8, 0.9);
    worker(2, 8, 0.9);
    EXPECT_EQ(arrive({.priority = Priority::sheddable}).reason, Reason::memory);
    EXPECT_EQ(arrive({.priority = Priority::normal}).kind, Kind::admitted);
    EXPECT_EQ(arrive({.priority = Priority::critical}).kind, Kind::admitted);
    gate.observe(start, 1, -1);
    EXPECT_EQ(arrive({.priority = Priority::sheddable}).kind, Kind::admitted) << "a stale reading never sheds";
}

TEST_F(GateTest, who_is_shed_among_few_is_told_to_come_again_at_times_of_their_own) {
    worker(1, 8, 0.855); // a tenth of the sheddable ones is shed
    for (int i = 0; i < 200; ++i) arrive({.priority = Priority::sheddable, .draw = 0}); // far more than is served
    std::set<Duration> pauses;
    for (int i = 0; i < 100; ++i) {
        const auto shed = arrive({.priority = Priority::sheddable, .draw = 0.001 * i});
        ASSERT_EQ(shed.reason, Reason::memory) << i;
        pauses.insert(shed.retry_after);
    }
    EXPECT_GE(pauses.size(), 10U) << "half to one and a half of 30 s";
}

TEST_F(GateTest, switched_off_it_sheds_nobody_and_says_so) {
    worker(1, 8, 0.9);
    gate.observe_stall(0.5);
    arrive({.priority = Priority::sheddable});
    ASSERT_TRUE(gate.stats().memory_shedding);
    ASSERT_TRUE(gate.stats().stall_shedding);
    gate.configure({.memory_mode = Mode::off});
    EXPECT_EQ(arrive({.priority = Priority::sheddable}).kind, Kind::admitted);
    EXPECT_FALSE(gate.stats().memory_shedding);
    EXPECT_FALSE(gate.stats().stall_shedding);
}

TEST_F(GateTest, shadow_decides_and_counts_but_does_not_act) {
    gate.configure({.memory_mode = Mode::shadow});
    worker(1, 8, 0.9);
    EXPECT_EQ(arrive({.priority = Priority::sheddable}).kind, Kind::admitted);
    EXPECT_EQ(gate.stats().shadow_refused[static_cast<std::size_t>(Reason::memory)], 1U);
}

TEST_F(GateTest, many_workers_share_the_load_by_two_choices) {
    for (WorkerKey key = 1; key <= 100; ++key) worker(key, 10);
    double draw = 0.123;
    for (int i = 0; i < 500; ++i) {
        draw = draw * 1237.0 + 0.7;
        draw -= static_cast<double>(static_cast<long>(draw));
        EXPECT_EQ(arrive({.draw = draw}).kind, Kind::admitted);
    }
    for (const auto& w : gate.stats().workers) EXPECT_LE(w.in_flight, w.slots);
}

TEST_F(GateTest, who_is_turned_away_would_be_refused_and_nothing_is_counted) {
    worker(1);
    EXPECT_FALSE(gate.turns_away(start, {})) << "a slot is free";
    EXPECT_TRUE(gate.turns_away(start, {.deadline = start})) << "too late";
    arrive();
    EXPECT_FALSE(gate.turns_away(start, {})) << "it may wait";
    arrive({.priority = Priority::sheddable});
    arrive({.priority = Priority::sheddable});
    EXPECT_TRUE(gate.turns_away(start, {.priority = Priority::sheddable})) << "the queue is full";
    EXPECT_FALSE(gate.turns_away(start, {.priority = Priority::critical})) << "a lower one is given up for it";
    EXPECT_EQ(gate.stats().refused[index(Reason::queue_full)], 0U);
}

TEST_F(GateTest, who_would_be_shed_for_memory_is_turned_away_with_the_same_draw) {
    worker(1, 1, 0.92);
    arrive({.priority = Priority::sheddable, .draw = 0.999}); // lets the load line look
    for (const double draw : {0.0, 0.3, 0.6, 0.9}) {
        const Gate::Facts facts{.priority = Priority::sheddable, .draw = draw};
        const bool turned_away = gate.turns_away(start, facts);
        const auto reason = arrive(facts).reason;
        EXPECT_EQ(turned_away, reason == Reason::memory || reason == Reason::queue_full) << draw;
    }
    EXPECT_TRUE(gate.turns_away(start, {.priority = Priority::sheddable, .draw = 0}));
}

// Four workers of 20 ms, always busy, before which a line stands that does not grow.
class Standing : public Fixture {
protected:
    Standing() {
        gate.configure({});
        for (WorkerKey key = 1; key <= 4; ++key) worker(key);
        for (int i = 0; i < 40; ++i) ask();
    }
    void ask(Gate::Facts facts = {}) { take(gate.arrive(now, facts, events)); }
    void take(const Gate::Arrival& arrival) {
        if (arrival.kind == Kind::admitted) busy.push_back(arrival.worker);
        if (arrival.kind == Kind::refused) ++refused;
        for (const auto& event : std::exchange(events, {}))
            event.granted ? busy.push_back(*event.granted) : void(++refused);
    }
    // Each 5 ms one is served and another one comes; `also` is what else there is.
    template <class Also>
    void stands(Also also) {
        for (int i = 0; i < 1000; ++i, now += 5ms) {
            Gate::Departure departure(Outcome::success);
            departure.took = 20ms;
            one_served(departure);
            also();
        }
    }
    void one_served(const Gate::Departure& departure) { // and another one comes
        gate.depart(now, busy.front(), departure, events);
        busy.erase(busy.begin());
        take({Kind::queued});
        ask();
    }
    std::vector<WorkerKey> busy;
    unsigned refused = 0;
    Instant now = start;
};

TEST_F(Standing, whose_deadline_has_passed_makes_no_overload) {
    stands([&] {
        Gate::Events none;
        EXPECT_EQ(gate.arrive(now, {.deadline = now}, none).reason, Reason::deadline);
        EXPECT_EQ(gate.arrive(now, {.deadline = now + 1ms}, none).reason, Reason::deadline) << "none is free so soon";
    });
    EXPECT_FALSE(gate.stats().overloaded);
    EXPECT_EQ(refused, 0U);
}

TEST_F(Standing, who_leaves_as_soon_as_he_has_come_makes_no_overload) {
    stands([&] {
        const auto arrival = gate.arrive(now, {}, events);
        EXPECT_TRUE(gate.leave(now, arrival.ticket));
    });
    EXPECT_FALSE(gate.stats().overloaded);
    EXPECT_EQ(refused, 0U);
}

TEST_F(Standing, a_route_that_its_breaker_refuses_makes_no_overload) {
    gate.configure({.breaker = {.rest = 1h, .longest_rest = 1h}, .route_mode = Mode::enforce});
    Gate::Departure failed(Outcome::failure);
    failed.route = 7;
    for (int i = 0; i < 50; ++i) one_served(failed);
    stands([&] {
        Gate::Events none;
        EXPECT_EQ(gate.arrive(now, {.route = 7}, none).reason, Reason::breaker);
    });
    EXPECT_FALSE(gate.stats().overloaded);
}

TEST_F(Standing, who_gives_up_after_waiting_for_long_is_a_sign_of_overload) {
    std::vector<std::pair<Instant, Ticket>> patient;
    stands([&] {
        if (const auto arrival = gate.arrive(now, {}, events); arrival.kind == Kind::queued)
            patient.emplace_back(now, arrival.ticket);
        while (!patient.empty() && now - patient.front().first > 100ms) {
            gate.leave(now, patient.front().second);
            patient.erase(patient.begin());
        }
    });
    EXPECT_TRUE(gate.stats().overloaded);
}

TEST_F(GateTest, where_slots_are_learned_a_stream_holds_none_and_is_counted_up_to_a_bound) {
    gate.configure({.first_slots = 2, .most_streams = 20});
    worker(1, 0);
    for (unsigned i = 0; i < 20; ++i) {
        ASSERT_EQ(arrive().kind, Kind::admitted) << i;
        EXPECT_TRUE(gate.become_stream(start, 1, Outcome::success, events));
    }
    EXPECT_EQ(gate.streams(1), 20U);
    EXPECT_EQ(gate.in_flight(1), 20U) << "a drain waits for them";
    for (int i = 0; i < 2; ++i) {
        ASSERT_EQ(arrive().kind, Kind::admitted);
        EXPECT_FALSE(gate.become_stream(start, 1, Outcome::success, events)) << "so many are too many";
    }
    EXPECT_EQ(arrive().kind, Kind::queued);
    gate.remove(1);
    for (int i = 0; i < 20; ++i) gate.end_stream(1);
    EXPECT_EQ(gate.in_flight(1), 2U);
    depart(1), depart(1);
    EXPECT_TRUE(gate.stats().workers.empty());
}

TEST_F(GateTest, where_slots_are_known_a_stream_holds_one) {
    worker(1, 1);
    arrive();
    EXPECT_FALSE(gate.become_stream(start, 1, Outcome::success, events));
    EXPECT_EQ(arrive().kind, Kind::queued);
}

TEST_F(GateTest, all_workers_of_a_host_that_came_back_are_asked_again) {
    constexpr WorkerKey workers = 200;
    for (WorkerKey key = 1; key <= workers; ++key) worker(key);
    for (WorkerKey i = 0; i < workers; ++i) gate.depart(start, arrive().worker, Outcome::refused_upstream, events);
    EXPECT_EQ(arrive().kind, Kind::queued) << "all of them rest";
    gate.leave(start, 1);
    for (WorkerKey i = 0; i < workers; ++i) EXPECT_EQ(arrive({}, start + 100ms).kind, Kind::admitted) << i;
}

TEST_F(GateTest, a_rest_that_is_prolonged_ends_when_the_longer_one_does) {
    worker(1);
    worker(2, 2);
    arrive({.avoid = 2});
    gate.broke_off(start, 1);                                 // for 20 ms
    gate.depart(start, 1, Outcome::refused_upstream, events); // for 100
    for (const auto after : {0ms, 20ms, 99ms}) {
        const auto arrival = arrive({.avoid = 2}, start + after);
        EXPECT_EQ(arrival.kind == Kind::admitted && arrival.worker == 1, false) << after.count();
        if (arrival.kind == Kind::admitted) gate.depart(start + after, arrival.worker, Outcome::success, events);
        if (arrival.kind == Kind::queued) gate.leave(start + after, arrival.ticket);
    }
    EXPECT_EQ(arrive({.avoid = 2}, start + 100ms).worker, WorkerKey{1});
}

TEST_F(GateTest, who_is_tripped_passes_at_once_when_breakers_are_switched_off) {
    Gate::Settings settings{.queue_size = 2, .queue_timeout = 5s};
    worker(1);
    worker(2);
    for (int i = 0; i < 40; ++i) {
        const auto arrival = arrive({.draw = i % 2 == 0 ? 0.25 : 0.75});
        gate.depart(start, arrival.worker, arrival.worker == 1 ? Outcome::failure : Outcome::success, events);
    }
    ASSERT_EQ(gate.breaker(1).state, Breaker::State::tripped);
    settings.breaker_mode = Mode::off;
    gate.configure(settings);
    EXPECT_EQ(arrive({.avoid = 2}).worker, WorkerKey{1});
}

// Of several tries the fastest: what else the machine does makes one slower, never faster.
double seconds_beside_resting_workers(WorkerKey resting) {
    using Clock = std::chrono::steady_clock;
    Gate gate(Gate::Settings{});
    Gate::Events events;
    for (WorkerKey key = 1; key <= resting + 20; ++key) {
        gate.add(key, 1, start);
        gate.accept(key, true, start, events);
    }
    for (WorkerKey i = 0; i < resting; ++i) {
        const auto arrival = gate.arrive(start, {}, events);
        gate.depart(start, arrival.worker, Outcome::refused_upstream, events);
    }
    double best = 1e9;
    for (int attempt = 0; attempt < 7; ++attempt) {
        const auto begin = Clock::now();
        for (int i = 0; i < 1000; ++i) {
            const auto arrival = gate.arrive(start + 1ms, {}, events);
            gate.depart(start + 1ms, arrival.worker, Outcome::success, events);
        }
        best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
    }
    return best;
}

TEST(GateCost, a_decision_costs_the_same_however_many_workers_rest) {
    EXPECT_LT(seconds_beside_resting_workers(4000), 5 * seconds_beside_resting_workers(20));
}

} // namespace
} // namespace plimsoll
