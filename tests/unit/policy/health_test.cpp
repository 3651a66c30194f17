#include "plimsoll/policy/health.hpp"

#include <gtest/gtest.h>

#include "plimsoll/policy/gate.hpp"
#include "unit/policy/start.hpp"

namespace plimsoll {
namespace {

using namespace std::chrono_literals;
using Kind = Gate::Arrival::Kind;

// p passed, r refused, u unanswered, s served; after each '+' healthy, '-' ailing.
void expect_story(std::string_view story, Health::Settings settings = {.rise = 2, .fall = 3}) {
    SCOPED_TRACE(story);
    Health health;
    for (std::size_t i = 0; i + 1 < story.size(); i += 2) {
        const Health::Seen seen = story[i] == 'p'   ? Health::Seen::passed
                                  : story[i] == 'r' ? Health::Seen::refused
                                  : story[i] == 'u' ? Health::Seen::unanswered
                                                    : Health::Seen::served;
        const bool before = health.healthy();
        EXPECT_EQ(health.record(settings, seen), before != (story[i + 1] == '+')) << "at " << i;
        EXPECT_EQ(health.healthy(), story[i + 1] == '+') << "at " << i;
    }
}

TEST(Health, falls_and_rises_by_rows) {
    expect_story("p+r+r+r-r-p-p+");
    expect_story("r+r+p+r+r+p+r+r+r-");
    expect_story("u+r+u-p-r-p-p+");
    expect_story("r-p+r-p+", {.rise = 1, .fall = 1});
    expect_story("r-p-p-r-p-p-p+", {.rise = 3, .fall = 1});
}

TEST(Health, a_request_that_was_served_takes_back_silence) {
    expect_story("u+u+s+u+u+u-");
    expect_story("u+u+u-s-s+");
    expect_story("u+u+u-s-u-s-s+");
}

TEST(Health, a_request_that_was_served_is_no_answer_to_an_application_that_says_it_is_not_well) {
    expect_story("r+s+r+s+r-");
    expect_story("r+r+r-s-s-s-p-p+");
    expect_story("u+r+s+u-");
}

TEST(Health, requests_alone_are_no_news_of_a_healthy_worker) { expect_story("s+s+p+s+"); }

struct HealthGate : testing::Test {
    Gate gate{Gate::Settings{}};
    Gate::Events events;

    void workers(WorkerKey count, unsigned slots = 1) {
        for (WorkerKey key = 1; key <= count; ++key) {
            gate.add(key, slots, start);
            gate.accept(key, true, start, events);
        }
    }
    void ailing(WorkerKey key, bool so = true) { gate.set_ailing(key, so, start, events); }
    unsigned accepting() {
        unsigned count = 0;
        for (const auto& worker : gate.stats().workers) count += worker.accepting;
        return count;
    }
    Gate::Arrival arrive() { return gate.arrive(start, {}, events); }
    void fails(WorkerKey key) { // and the others do their work
        for (int i = 0; i < 80; ++i) {
            Gate::Facts facts;
            facts.draw = i % 8 / 8.0;
            const auto arrival = gate.arrive(start, facts, events);
            gate.depart(start, arrival.worker, arrival.worker == key ? Outcome::failure : Outcome::success, events);
        }
    }
};

TEST_F(HealthGate, who_is_ailing_gets_no_request_until_it_is_well) {
    workers(2);
    ailing(1);
    EXPECT_EQ(arrive().worker, 2U);
    EXPECT_EQ(arrive().kind, Kind::queued);
    ailing(1, false);
    ASSERT_EQ(events.size(), 1U) << "who waited gets its slot";
    EXPECT_EQ(events[0].granted, WorkerKey{1});
}

TEST_F(HealthGate, below_the_floor_everybody_is_served_by_everybody) {
    workers(4);
    ailing(1);
    ailing(2);
    EXPECT_EQ(accepting(), 2U);
    EXPECT_FALSE(gate.stats().health_panic);
    ailing(3);
    EXPECT_EQ(accepting(), 4U);
    EXPECT_TRUE(gate.stats().health_panic);
    ailing(3, false);
    EXPECT_EQ(accepting(), 2U);
}

TEST_F(HealthGate, a_panic_serves_those_who_wait) {
    workers(2);
    arrive();
    arrive();
    arrive();
    ailing(1);
    gate.depart(start, 1, Outcome::success, events);
    EXPECT_TRUE(events.empty());
    ailing(2);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].granted, WorkerKey{1});
}

TEST_F(HealthGate, the_only_worker_always_serves) {
    workers(1);
    ailing(1);
    EXPECT_EQ(arrive().kind, Kind::admitted);
}

TEST_F(HealthGate, workers_that_are_drained_do_not_count_for_the_floor) {
    workers(4);
    ailing(1);
    ailing(2);
    gate.accept(3, false, start, events);
    gate.accept(4, false, start, events);
    EXPECT_EQ(accepting(), 2U) << "two are left, and both are ailing";
    gate.remove(1);
    EXPECT_EQ(accepting(), 1U);
}

TEST_F(HealthGate, checks_and_breakers_share_the_floor) {
    workers(4);
    for (int i = 0; i < 40; ++i) { // the good ones do their work
        const auto arrival = arrive();
        gate.depart(start, arrival.worker, Outcome::success, events);
    }
    ailing(1);
    ailing(2);
    for (int i = 0; i < 40; ++i) {
        const auto arrival = arrive();
        gate.depart(start, arrival.worker, arrival.worker == 3 ? Outcome::failure : Outcome::success, events);
    }
    EXPECT_EQ(gate.breaker(3).state, Breaker::State::passing) << "half of them are out already";
}

TEST_F(HealthGate, who_is_tripped_and_ailing_counts_once_against_the_floor) {
    workers(4);
    fails(1);
    ASSERT_EQ(gate.breaker(1).state, Breaker::State::tripped);
    ailing(1);
    fails(2);
    EXPECT_EQ(gate.breaker(2).state, Breaker::State::tripped) << "two of four may be out";
    fails(3);
    EXPECT_EQ(gate.breaker(3).state, Breaker::State::passing) << "and no more than two";
}

TEST_F(HealthGate, who_is_tripped_and_drains_does_not_count_against_the_floor) {
    workers(4);
    fails(1);
    ASSERT_EQ(gate.breaker(1).state, Breaker::State::tripped);
    gate.accept(1, false, start, events);
    fails(2);
    EXPECT_EQ(gate.breaker(2).state, Breaker::State::tripped) << "one of the three that are meant to serve";
    fails(3);
    EXPECT_EQ(gate.breaker(3).state, Breaker::State::passing);
}

TEST_F(HealthGate, in_shadow_who_is_ailing_is_told_and_served) {
    gate.configure({.health_mode = Mode::shadow});
    workers(2);
    ailing(1);
    EXPECT_EQ(accepting(), 2U);
    EXPECT_TRUE(gate.stats().workers[0].ailing);
    gate.configure({});
    ailing(1);
    EXPECT_EQ(accepting(), 1U) << "told again, it is taken up";
}

TEST_F(HealthGate, in_shadow_requests_to_who_is_ailing_are_counted_unless_too_many_are) {
    gate.configure({.health_mode = Mode::shadow});
    workers(2);
    ailing(1);
    const auto first = arrive();
    const auto second = arrive();
    ASSERT_NE(first.worker, second.worker);
    EXPECT_EQ(gate.stats().shadow.to_ailing, 1U);
    gate.depart(start, 1, Outcome::success, events);
    ailing(2);
    arrive();
    EXPECT_EQ(gate.stats().shadow.to_ailing, 1U) << "enforced, both would be served: a panic";
}

TEST_F(HealthGate, a_check_holds_a_slot_and_never_takes_the_last_from_a_request) {
    workers(1);
    EXPECT_TRUE(gate.begin_check(1, start));
    EXPECT_FALSE(gate.begin_check(1, start)) << "one at a time";
    const auto waits = arrive();
    EXPECT_EQ(waits.kind, Kind::queued);
    gate.end_check(1, start, events);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].ticket, waits.ticket);
    EXPECT_FALSE(gate.begin_check(1, start)) << "its only slot is taken";
    gate.depart(start, 1, Outcome::success, events);
    EXPECT_EQ(gate.successes(1), 1U);
    EXPECT_EQ(gate.in_flight(1), 0U);
}

TEST_F(HealthGate, a_worker_out_of_service_is_checked_and_a_drained_one_is_not) {
    workers(2);
    ailing(1);
    EXPECT_TRUE(gate.begin_check(1, start));
    gate.end_check(1, start, events);
    gate.accept(2, false, start, events);
    EXPECT_FALSE(gate.begin_check(2, start));
}

TEST_F(HealthGate, a_worker_that_goes_while_it_is_checked_is_forgotten_with_the_check) {
    workers(1);
    EXPECT_TRUE(gate.begin_check(1, start));
    gate.remove(1);
    EXPECT_EQ(gate.stats().workers.size(), 1U);
    gate.end_check(1, start, events);
    EXPECT_TRUE(gate.stats().workers.empty());
    gate.end_check(1, start, events);
}

TEST_F(HealthGate, a_worker_that_goes_while_it_is_checked_is_not_forgotten_before_its_last_stream) {
    gate.add(1, 0, start);
    gate.accept(1, true, start, events);
    ASSERT_EQ(arrive().kind, Kind::admitted);
    ASSERT_TRUE(gate.become_stream(start, 1, Outcome::success, events));
    EXPECT_TRUE(gate.begin_check(1, start));
    gate.remove(1);
    gate.end_check(1, start, events);
    EXPECT_EQ(gate.in_flight(1), 1U);
    gate.end_stream(1);
    EXPECT_TRUE(gate.stats().workers.empty());
}

TEST(GateHealth, so_many_may_be_out_as_the_floor_leaves_to_the_last_one) {
    struct Case {
        unsigned workers;
        double floor;
        unsigned out;
    };
    for (const auto [workers, floor, out] :
         {Case{5, 0.8, 1}, {10, 0.9, 1}, {10, 0.8, 2}, {20, 0.95, 1}, {4, 0.5, 2}, {3, 0.5, 1}, {3, 1, 0}, {3, 0, 3}}) {
        Gate gate{Gate::Settings{.breaker_floor = floor}};
        Gate::Events events;
        for (WorkerKey key = 1; key <= workers; ++key) {
            gate.add(key, 1, start);
            gate.accept(key, true, start, events);
        }
        for (WorkerKey key = 1; key <= workers; ++key) {
            gate.set_ailing(key, true, start, events);
            EXPECT_EQ(gate.stats().health_panic, key > out)
                << workers << " workers, floor " << floor << ", ailing " << key;
        }
    }
}

} // namespace
} // namespace plimsoll
