#include "plimsoll/fleet/recycle_planner.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace plimsoll {
namespace {

using namespace std::chrono_literals;
using Kind = RecyclePlanner::Verdict::Kind;
using Place = RecyclePlanner::Place;

constexpr Instant start{1h};

std::vector<Place> serving(unsigned count) {
    std::vector<Place> places;
    for (WorkerKey key = 1; key <= count; ++key) places.push_back({key, WorkerState::serving, std::nullopt, 0.5});
    return places;
}

TEST(RecyclePlanner, one_recycle_at_a_time) {
    RecyclePlanner planner({});
    const auto places = serving(4);
    EXPECT_EQ(planner.ask(start, 1, places, true).kind, Kind::go);
    planner.started(start, 1);
    EXPECT_EQ(planner.ask(start, 2, places, true).kind, Kind::busy);
    planner.finished(start + 1s, true);
    EXPECT_EQ(planner.ask(start + 1s, 2, places, true).kind, Kind::go);
}

TEST(RecyclePlanner, min_serving_workers_always_serve) {
    RecyclePlanner planner({});
    auto places = serving(4);
    EXPECT_EQ(planner.ask(start, 1, places, false).kind, Kind::go);
    places[3].state = WorkerState::failed;
    EXPECT_EQ(planner.ask(start, 1, places, false).kind, Kind::below_min_serving);
    EXPECT_EQ(planner.ask(start, 1, places, true).kind, Kind::go) << "a successor first takes no capacity";
    places[2].state = WorkerState::starting;
    EXPECT_EQ(planner.ask(start, 1, places, true).kind, Kind::below_min_serving);
}

TEST(RecyclePlanner, who_is_given_no_requests_is_no_capacity_that_another_one_may_be_taken_from) {
    RecyclePlanner planner({});
    auto places = serving(4);
    places[3].accepts = false;
    EXPECT_EQ(planner.ask(start, 1, places, false).kind, Kind::below_min_serving) << "two would be left";
    EXPECT_EQ(planner.ask(start, 4, places, false).kind, Kind::go) << "it serves nobody as it is";
    EXPECT_EQ(planner.ask(start, 1, places, true).kind, Kind::go) << "a successor first takes no capacity";
    for (Place& place : places) place.accepts = false;
    EXPECT_EQ(planner.ask(start, 1, places, false).kind, Kind::go) << "all are ailing, and are served all the same";
}

TEST(RecyclePlanner, while_a_recycle_of_an_earlier_life_is_settled_nobody_else_has_his_turn) {
    RecyclePlanner planner({});
    auto places = serving(4);
    places[1].wish = RecycleCause::hard_limit;
    planner.settling(true);
    EXPECT_EQ(planner.ask(start, 1, places, true).kind, Kind::busy);
    EXPECT_EQ(planner.next(start, places, true), std::nullopt);
    planner.settling(false);
    EXPECT_EQ(planner.next(start, places, true), 2U);
}

TEST(RecyclePlanner, the_only_worker_may_be_recycled) {
    RecyclePlanner planner({});
    EXPECT_EQ(planner.ask(start, 1, serving(1), false).kind, Kind::go);
    RecyclePlanner strict({.min_serving = 1});
    EXPECT_EQ(strict.ask(start, 1, serving(1), false).kind, Kind::below_min_serving);
    EXPECT_EQ(strict.ask(start, 1, serving(1), true).kind, Kind::go);
}

TEST(RecyclePlanner, a_drained_worker_costs_no_capacity_when_recycled) {
    RecyclePlanner planner({});
    auto places = serving(4);
    places[0].state = WorkerState::draining;
    EXPECT_EQ(planner.ask(start, 1, places, false).kind, Kind::go);
    EXPECT_EQ(planner.ask(start, 2, places, false).kind, Kind::below_min_serving);
}

TEST(RecyclePlanner, no_more_than_max_per_hour) {
    RecyclePlanner planner({.max_per_hour = 2});
    const auto places = serving(4);
    for (const Instant at : {start, start + 10min}) {
        planner.started(at, 1);
        planner.finished(at, true);
    }
    const auto refused = planner.ask(start + 20min, 1, places, true);
    EXPECT_EQ(refused.kind, Kind::hourly_limit);
    EXPECT_EQ(refused.retry_after, 40min);
    EXPECT_EQ(planner.ask(start + 60min, 1, places, true).kind, Kind::go);
    EXPECT_EQ(planner.last_hour(start + 60min), 1U);
}

TEST(RecyclePlanner, a_successor_that_fails_halts_all_further_recycles) {
    RecyclePlanner planner({.first_pause = 10s});
    const auto places = serving(4);
    planner.started(start, 1);
    planner.finished(start, false, "app.py does not import");
    EXPECT_EQ(planner.alert(), "app.py does not import");
    EXPECT_EQ(planner.ask(start + 9s, 2, places, true).kind, Kind::halted);
    EXPECT_EQ(planner.ask(start + 10s, 2, places, true).kind, Kind::go) << "one trial after the pause";
    planner.started(start + 10s, 2);
    planner.finished(start + 11s, false, "still not");
    EXPECT_EQ(planner.ask(start + 30s, 2, places, true).kind, Kind::halted) << "the pause has doubled";
    EXPECT_EQ(planner.ask(start + 31s, 2, places, true).kind, Kind::go);
    planner.started(start + 31s, 2);
    planner.finished(start + 32s, true);
    EXPECT_TRUE(planner.alert().empty());
    EXPECT_EQ(planner.ask(start + 32s, 3, places, true).kind, Kind::go);
}

TEST(RecyclePlanner, a_trial_never_costs_capacity) {
    RecyclePlanner planner({.min_serving = 1});
    auto places = serving(4);
    planner.started(start, 1);
    planner.finished(start, false);
    places[0].state = WorkerState::failed;
    EXPECT_EQ(planner.ask(start + 1h, 2, places, false).kind, Kind::halted);
    places[0].state = WorkerState::serving;
    EXPECT_EQ(planner.ask(start + 1h, 2, places, false).kind, Kind::go);
}

TEST(RecyclePlanner, the_most_urgent_wish_comes_first) {
    RecyclePlanner planner({});
    auto places = serving(4);
    EXPECT_FALSE(planner.next(start, places, true));
    places[0].wish = RecycleCause::soft_limit;
    places[0].pressure = 0.80;
    places[1].wish = RecycleCause::soft_limit;
    places[1].pressure = 0.90;
    EXPECT_EQ(planner.next(start, places, true), WorkerKey{2});
    places[2].wish = RecycleCause::operator_request;
    EXPECT_EQ(planner.next(start, places, true), WorkerKey{3});
    places[3].wish = RecycleCause::hard_limit;
    EXPECT_EQ(planner.next(start, places, true), WorkerKey{4});
    planner.started(start, 1);
    EXPECT_EQ(planner.next(start, places, true), std::nullopt);
    EXPECT_EQ(RecyclePlanner::most_urgent(places), WorkerKey{4}) << "whether it may be fulfilled or not";
}

TEST(WorkerState, a_worker_is_not_put_back_once_it_is_ending) {
    EXPECT_TRUE(may_follow(WorkerState::draining, WorkerState::serving));
    for (const auto from :
         {WorkerState::capturing, WorkerState::ending, WorkerState::stuck, WorkerState::failed, WorkerState::gone})
        EXPECT_FALSE(may_follow(from, WorkerState::serving)) << to_string(from);
}

TEST(WorkerState, only_serving_and_suspect_take_requests) {
    for (int i = 0; i <= static_cast<int>(WorkerState::gone); ++i) {
        const auto state = static_cast<WorkerState>(i);
        EXPECT_EQ(takes_requests(state), state == WorkerState::serving || state == WorkerState::suspect)
            << to_string(state);
    }
}

} // namespace
} // namespace plimsoll
