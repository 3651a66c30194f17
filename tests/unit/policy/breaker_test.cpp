#include "plimsoll/policy/breaker.hpp"

#include <gtest/gtest.h>

#include "plimsoll/policy/gate.hpp"
#include "unit/policy/start.hpp"

namespace plimsoll {
namespace {

using namespace std::chrono_literals;
using Result = Breaker::Result;
using State = Breaker::State;
using Kind = Gate::Arrival::Kind;

// Records and trips as the gate does where nothing speaks against it.
void record(Breaker& breaker, Instant now, Result result, const Breaker::Settings& settings = {}, Duration pause = {}) {
    const bool probe = breaker.state() == State::probing;
    if (breaker.record(now, settings, result, probe, pause)) breaker.trip(now, settings, pause);
}

TEST(Breaker, five_failures_in_a_row_trip_it_and_a_success_between_them_does_not) {
    Breaker breaker;
    for (int i = 0; i < 4; ++i) record(breaker, start, Result::failed);
    record(breaker, start, Result::good);
    for (int i = 0; i < 4; ++i) record(breaker, start, Result::failed);
    EXPECT_EQ(breaker.state(), State::passing);
    record(breaker, start, Result::failed);
    EXPECT_EQ(breaker.state(), State::tripped);
    EXPECT_FALSE(breaker.admits(start + 999ms));
}

TEST(Breaker, half_of_twenty_in_the_window_trip_it_and_fewer_or_older_ones_do_not) {
    Breaker few, old, enough;
    const auto alternate = [](Breaker& breaker, int requests, Duration apart) {
        for (int i = 0; i < requests; ++i) record(breaker, start + i * apart, i % 2 ? Result::failed : Result::good);
    };
    alternate(few, 19, 1ms);
    alternate(old, 1000, 1s);
    alternate(enough, 20, 1ms);
    EXPECT_EQ(few.state(), State::passing);
    EXPECT_EQ(old.state(), State::passing);
    EXPECT_EQ(enough.state(), State::tripped);
}

TEST(Breaker, slow_requests_count_like_failures_in_the_window_but_not_in_a_row) {
    Breaker breaker;
    for (int i = 0; i < 19; ++i) record(breaker, start, Result::slow);
    EXPECT_EQ(breaker.state(), State::passing);
    record(breaker, start, Result::slow);
    EXPECT_EQ(breaker.state(), State::tripped);
}

TEST(Breaker, one_probe_at_a_time_decides) {
    Breaker breaker;
    breaker.trip(start, {});
    ASSERT_TRUE(breaker.admits(start + 1s));
    breaker.admitted(start + 1s, {});
    EXPECT_EQ(breaker.state(), State::probing);
    EXPECT_FALSE(breaker.admits(start + 30s)) << "while one probe is under way there is no second";
    EXPECT_TRUE(breaker.admits(start + 31s)) << "but one that does not end keeps nobody out for longer than a rest";
    record(breaker, start + 1s, Result::good);
    EXPECT_EQ(breaker.state(), State::passing);
}

TEST(Breaker, each_failed_probe_doubles_the_rest_up_to_the_longest) {
    Breaker breaker;
    Instant now = start;
    breaker.trip(now, {});
    for (const Duration rest : {1s, 2s, 4s, 8s, 16s, 30s, 30s}) {
        EXPECT_FALSE(breaker.admits(now + rest - 1ms)) << rest.count();
        now += rest;
        ASSERT_TRUE(breaker.admits(now)) << rest.count();
        breaker.admitted(now, {});
        record(breaker, now, Result::failed);
    }
}

TEST(Breaker, a_probe_whose_client_left_proves_nothing) {
    Breaker breaker;
    breaker.trip(start, {});
    breaker.admitted(start + 1s, {});
    record(breaker, start + 1s, Result::nothing);
    EXPECT_EQ(breaker.state(), State::tripped);
    EXPECT_TRUE(breaker.admits(start + 1s)) << "the next request is the probe";
}

TEST(Breaker, what_was_under_way_when_it_tripped_ends_no_probe) {
    Breaker breaker;
    breaker.trip(start, {});
    ASSERT_TRUE(breaker.admitted(start + 1s, {}));
    for (const Result late : {Result::good, Result::failed, Result::nothing}) {
        EXPECT_FALSE(breaker.record(start + 1s, {}, late, false));
        EXPECT_EQ(breaker.state(), State::probing);
    }
    breaker.record(start + 2s, {}, Result::good, true);
    EXPECT_EQ(breaker.state(), State::passing);
}

TEST(Breaker, it_rests_as_long_as_it_was_asked_to_within_bounds) {
    Breaker asked, asked_too_much;
    for (int i = 0; i < 5; ++i) {
        record(asked, start, Result::failed, {}, 7s);
        record(asked_too_much, start, Result::failed, {}, 24h);
    }
    EXPECT_EQ(asked.until(), start + 7s);
    EXPECT_EQ(asked_too_much.until(), start + 30s);
}

struct GateBreakerTest : testing::Test {
    Gate gate{Gate::Settings{}};
    Gate::Events events;

    void workers(WorkerKey count, unsigned slots = 1) {
        for (WorkerKey key = 1; key <= count; ++key) {
            gate.add(key, slots, start);
            gate.accept(key, true, start, events);
        }
    }
    // One request to each worker that gets one; `bad` workers fail it.
    std::vector<WorkerKey> round(Instant now, const std::vector<WorkerKey>& bad, RouteKey route = 0) {
        std::vector<Gate::Arrival> admitted;
        while (true) {
            const auto arrival = gate.arrive(now, {.route = route}, events);
            if (arrival.kind != Kind::admitted) {
                if (arrival.kind == Kind::queued) gate.leave(now, arrival.ticket);
                break;
            }
            admitted.push_back(arrival);
        }
        std::vector<WorkerKey> asked;
        for (const auto& [kind, worker, probe, ticket, reason, retry_after] : admitted) {
            asked.push_back(worker);
            const bool fails = std::ranges::find(bad, worker) != bad.end();
            Gate::Departure departure(fails ? Outcome::failure : Outcome::success);
            departure.route = route;
            departure.probe = probe;
            gate.depart(now, worker, departure, events);
        }
        std::ranges::sort(asked);
        return asked;
    }
    State state(WorkerKey worker) const { return gate.breaker(worker).state; }
};

TEST_F(GateBreakerTest, a_worker_that_fails_alone_is_passed_over_then_probed_then_back) {
    workers(4);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(round(start, {2}), (std::vector<WorkerKey>{1, 2, 3, 4}));
    EXPECT_EQ(state(2), State::tripped);
    EXPECT_EQ(round(start, {}), (std::vector<WorkerKey>{1, 3, 4}));
    EXPECT_EQ(round(start + 1s, {2}), (std::vector<WorkerKey>{1, 2, 3, 4})) << "the probe";
    EXPECT_EQ(round(start + 2s, {}), (std::vector<WorkerKey>{1, 3, 4})) << "it failed: 2 s";
    round(start + 3s, {});
    EXPECT_EQ(state(2), State::passing);
}

TEST_F(GateBreakerTest, while_it_is_probed_a_worker_with_many_slots_gets_one_request) {
    workers(4, 8);
    for (int i = 0; i < 5; ++i) round(start, {2});
    const auto asked = round(start + 1s, {});
    EXPECT_EQ(std::ranges::count(asked, WorkerKey{2}), 1);
}

TEST_F(GateBreakerTest, where_all_fail_alike_no_worker_is_to_blame) {
    workers(4);
    for (int i = 0; i < 50; ++i) EXPECT_EQ(round(start, {1, 2, 3, 4}).size(), 4U);
}

TEST_F(GateBreakerTest, half_of_the_workers_always_pass_and_the_only_one_too) {
    workers(5);
    for (int i = 0; i < 50; ++i) round(start, {1, 2, 3});
    int tripped = 0;
    for (WorkerKey key = 1; key <= 5; ++key) tripped += state(key) == State::tripped;
    EXPECT_EQ(tripped, 2);

    Gate single{Gate::Settings{}};
    std::swap(gate, single);
    workers(1);
    for (int i = 0; i < 50; ++i) EXPECT_EQ(round(start, {1}).size(), 1U);
}

TEST_F(GateBreakerTest, in_a_fleet_of_two_to_eight_the_one_that_fails_is_found_and_no_other) {
    for (WorkerKey count = 2; count <= 8; ++count) {
        Gate small{Gate::Settings{}};
        std::swap(gate, small);
        workers(count);
        for (int i = 0; i < 50; ++i) round(start, {count});
        for (WorkerKey key = 1; key <= count; ++key)
            EXPECT_EQ(state(key), key == count ? State::tripped : State::passing) << key << " of " << count;
    }
}

TEST_F(GateBreakerTest, when_workers_go_away_tripped_ones_come_back_before_the_floor_is_broken) {
    workers(2);
    for (int i = 0; i < 5; ++i) round(start, {2});
    EXPECT_EQ(state(2), State::tripped);
    gate.accept(1, false, start, events);
    EXPECT_EQ(state(2), State::passing);
    EXPECT_EQ(round(start, {}), (std::vector<WorkerKey>{2}));
}

TEST_F(GateBreakerTest, switched_off_while_a_worker_is_tripped_it_serves_for_good) {
    for (const auto mode : {Mode::off, Mode::shadow}) {
        Gate fresh{Gate::Settings{}};
        std::swap(gate, fresh);
        workers(4);
        for (int i = 0; i < 5; ++i) round(start, {2});
        ASSERT_EQ(state(2), State::tripped);
        gate.configure({.breaker_mode = mode});
        for (int i = 0; i < 3; ++i) EXPECT_EQ(round(start + 100ms * i, {}), (std::vector<WorkerKey>{1, 2, 3, 4})) << i;
        gate.configure({});
        EXPECT_EQ(round(start + 1s, {}), (std::vector<WorkerKey>{1, 2, 3, 4}));
    }
}

TEST_F(GateBreakerTest, a_route_is_probed_by_one_at_a_time_whoever_else_is_refused_or_leaves) {
    gate.configure({.route_mode = Mode::enforce});
    workers(4);
    for (int i = 0; i < 20; ++i) round(start, {1, 2, 3, 4}, 1);
    ASSERT_EQ(gate.stats().routes[1].state, State::tripped);
    const Instant later = start + 1h;
    ASSERT_EQ(gate.arrive(later, {.route = 1}, events).kind, Kind::admitted) << "the probe, which hangs";
    EXPECT_EQ(gate.arrive(later, {.deadline = later, .route = 1}, events).reason, Reason::deadline);
    const auto refused = gate.arrive(later, {.route = 1}, events);
    EXPECT_EQ(refused.reason, Reason::breaker);
    EXPECT_LE(refused.retry_after, 3s) << "the probe may end at any moment";
    EXPECT_EQ(gate.arrive(later + 30s, {.route = 1}, events).kind, Kind::admitted)
        << "the next probe: one that hangs proves nothing";
    EXPECT_EQ(gate.arrive(later + 30s, {.route = 1}, events).reason, Reason::breaker);
}

TEST_F(GateBreakerTest, a_worker_whose_probe_hangs_is_probed_again) {
    workers(4, 8);
    for (int i = 0; i < 5; ++i) round(start, {2});
    ASSERT_EQ(state(2), State::tripped);
    const auto asked_of_2 = [&](Instant now) { // whoever gets in stays
        int count = 0;
        for (int i = 0; i < 32; ++i) {
            const auto arrival = gate.arrive(now, {}, events);
            count += arrival.kind == Kind::admitted && arrival.worker == 2;
            if (arrival.kind == Kind::queued) gate.leave(now, arrival.ticket);
        }
        return count;
    };
    EXPECT_EQ(asked_of_2(start + 1s), 1);
    EXPECT_EQ(asked_of_2(start + 30s), 0);
    EXPECT_EQ(asked_of_2(start + 31s), 1);
}

// The answer went to him as it came: he may have read it slowly.
TEST_F(GateBreakerTest, what_took_long_at_its_clients_pace_is_not_slow) {
    gate.configure({.breaker = {.slow = 1s}, .route_mode = Mode::enforce});
    workers(4, 8);
    for (const bool paced : {true, false}) {
        for (int i = 0; i < 40; ++i) {
            const auto arrival = gate.arrive(start, {.route = 7}, events);
            if (arrival.kind != Kind::admitted) break;
            Gate::Departure departure(Outcome::success);
            departure.route = 7;
            departure.took = 30s;
            departure.paced = paced;
            gate.depart(start, arrival.worker, departure, events);
        }
        EXPECT_EQ(gate.stats().routes[7].state == State::passing, paced);
    }
}

TEST_F(GateBreakerTest, a_probe_that_turns_out_to_be_a_stream_has_told_all_that_it_can) {
    gate.configure({.route_mode = Mode::enforce});
    workers(4, 8); // slots that are told: a stream holds one
    for (int i = 0; i < 5; ++i) round(start, {1, 2, 3, 4}, 7);
    for (int i = 0; i < 5; ++i) round(start, {2});
    ASSERT_EQ(state(2), State::tripped);
    ASSERT_EQ(gate.stats().routes[7].state, State::tripped);
    gate.accept(1, false, start, events);
    gate.accept(3, false, start, events);
    for (int i = 0; i < 8; ++i) ASSERT_EQ(gate.arrive(start, {}, events).worker, 4U); // and that one is full
    const auto probe = gate.arrive(start + 1s, {.route = 7}, events);
    ASSERT_EQ(probe.worker, 2U);
    for (int i = 0; i < 10; ++i) EXPECT_EQ(gate.arrive(start + 1s, {}, events).kind, Kind::queued);
    Gate::Departure so_far(Outcome::success);
    so_far.took = 5ms;
    so_far.route = 7;
    so_far.probe = probe.probe;
    ASSERT_TRUE(so_far.probe.worker);
    ASSERT_TRUE(so_far.probe.route);
    EXPECT_FALSE(gate.become_stream(start + 1s, 2, so_far, events)) << "it goes on holding its slot";
    EXPECT_EQ(state(2), State::passing);
    EXPECT_EQ(gate.stats().routes[7].state, State::passing);
    EXPECT_EQ(gate.in_flight(2), 8U) << "who waited got in";
}

TEST_F(GateBreakerTest, one_that_fails_all_it_gets_trips_though_the_others_are_still_at_work) {
    workers(4);
    for (int i = 0; i < 3; ++i) gate.arrive(start, {}, events); // reports of half a minute
    WorkerKey left = 0;
    for (int i = 0; i < 5; ++i) {
        const auto arrival = gate.arrive(start, {}, events);
        ASSERT_EQ(arrival.kind, Kind::admitted);
        left = arrival.worker;
        gate.depart(start, left, Outcome::failure, events);
    }
    EXPECT_EQ(state(left), State::tripped);
    EXPECT_EQ(gate.arrive(start, {}, events).kind, Kind::queued);
}

TEST_F(GateBreakerTest, failures_from_before_a_probe_are_still_the_workers_own) {
    workers(2);
    for (int i = 0; i < 5; ++i) round(start, {2}); // and five good ones of the other
    ASSERT_EQ(state(2), State::tripped);
    round(start + 1s, {}); // the probe succeeds
    ASSERT_EQ(state(2), State::passing);
    gate.arrive(start + 2s, {}, events); // the other one is at work
    for (int i = 0; i < 5; ++i) {
        const auto arrival = gate.arrive(start + 2s, {}, events);
        gate.depart(start + 2s, arrival.worker, Outcome::failure, events);
    }
    EXPECT_EQ(state(1) == State::tripped || state(2) == State::tripped, true);
}

TEST_F(GateBreakerTest, refusals_of_a_worker_are_no_service_times) {
    workers(1);
    const auto ask = [&](Outcome outcome, Duration took) {
        Gate::Departure departure(outcome);
        departure.took = took;
        gate.arrive(start, {}, events);
        gate.depart(start, 1, departure, events);
    };
    for (int i = 0; i < 20; ++i) ask(Outcome::success, 2s);
    gate.configure({.rest = 0ms});
    for (int i = 0; i < 200; ++i) ask(Outcome::refused_upstream, 1ms);
    for (int i = 0; i < 200; ++i) ask(Outcome::abandoned, 1ms);
    EXPECT_GE(gate.stats().service_time, 1900ms);
}

TEST_F(GateBreakerTest, shadow_counts_what_it_would_have_done) {
    gate.configure({.breaker_mode = Mode::shadow});
    workers(4);
    for (int i = 0; i < 5; ++i) round(start, {2});
    EXPECT_EQ(round(start, {}).size(), 4U);
    EXPECT_EQ(gate.stats().shadow.trips, 1U);
}

TEST_F(GateBreakerTest, shadow_trips_as_often_as_enforce_and_refuses_nobody) {
    const auto fail_for_20_seconds = [&](Mode mode) { // trips, rests for 1, 2, 4 and 8 s
        Gate fresh{Gate::Settings{.breaker_mode = mode}};
        std::swap(gate, fresh);
        workers(4);
        for (int i = 0; i < 400; ++i) round(start + 50ms * i, {2});
    };
    fail_for_20_seconds(Mode::enforce);
    const auto trips = gate.breaker(2).trips;
    EXPECT_GE(trips, 4U);
    fail_for_20_seconds(Mode::shadow);
    EXPECT_EQ(gate.stats().shadow.trips, trips);
    EXPECT_EQ(gate.stats().shadow_refused[index(Reason::breaker)], 0U);
    EXPECT_EQ(round(start + 20s, {}).size(), 4U);
}

TEST_F(GateBreakerTest, a_route_that_fails_everywhere_is_refused_but_for_one_probe_and_no_other_route_with_it) {
    gate.configure({.route_mode = Mode::enforce});
    workers(4);
    for (int i = 0; i < 5; ++i) round(start, {1, 2, 3, 4}, 7);
    const auto refused = gate.arrive(start, {.route = 7}, events);
    EXPECT_EQ(refused.reason, Reason::breaker);
    EXPECT_GE(refused.retry_after, 1s);
    EXPECT_GE(gate.arrive(start, {.draw = 0.9, .route = 7}, events).retry_after, refused.retry_after + 500ms)
        << "they don't come back together";
    EXPECT_EQ(round(start, {}, 8).size(), 4U);

    EXPECT_EQ(round(start + 1s, {1, 2, 3, 4}, 7).size(), 1U) << "the probe";
    EXPECT_EQ(gate.arrive(start + 2s, {.route = 7}, events).reason, Reason::breaker);
    round(start + 3s, {}, 7);
    EXPECT_EQ(round(start + 3s, {}, 7).size(), 4U);
}

TEST_F(GateBreakerTest, a_probe_that_leaves_the_queue_makes_room_for_the_next) {
    gate.configure({.route_mode = Mode::enforce});
    workers(4);
    for (int i = 0; i < 5; ++i) round(start, {1, 2, 3, 4}, 7);
    std::vector<WorkerKey> busy;
    for (int i = 0; i < 4; ++i) busy.push_back(gate.arrive(start, {}, events).worker);
    const auto probe = gate.arrive(start + 1s, {.route = 7}, events);
    ASSERT_EQ(probe.kind, Kind::queued);
    EXPECT_EQ(gate.arrive(start + 1s, {.route = 7}, events).reason, Reason::breaker);
    gate.leave(start + 1s, probe.ticket);
    EXPECT_EQ(gate.arrive(start + 1s, {.route = 7}, events).kind, Kind::queued);
}

TEST_F(GateBreakerTest, only_the_probe_of_a_route_says_how_its_probe_went) {
    gate.configure({.route_mode = Mode::enforce});
    workers(4, 8);
    const auto slow = gate.arrive(start, {.route = 7}, events); // admitted before it trips, and ends after
    for (int i = 0; i < 5; ++i) round(start, {1, 2, 3, 4}, 7);
    ASSERT_EQ(gate.stats().routes[7].state, State::tripped);
    const auto probe = gate.arrive(start + 1s, {.route = 7}, events);
    ASSERT_TRUE(probe.probe.route);
    const auto end = [&](const Gate::Arrival& each, Outcome outcome) {
        Gate::Departure departure(outcome);
        departure.route = 7;
        departure.probe = each.probe;
        gate.depart(start + 1s, each.worker, departure, events);
    };
    end(slow, Outcome::success);
    EXPECT_EQ(gate.stats().routes[7].state, State::probing) << "an old request said that all is well";
    end(probe, Outcome::success);
    EXPECT_EQ(gate.stats().routes[7].state, State::passing);
}

} // namespace
} // namespace plimsoll
