#include "plimsoll/policy/affinity.hpp"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "plimsoll/policy/gate.hpp"
#include "unit/policy/start.hpp"

namespace plimsoll {
namespace {

using namespace std::chrono_literals;

struct AffinityTest : testing::Test {
    Gate gate{Gate::Settings{}};
    Gate::Events events;
    WorkerKey next_key = 1;

    WorkerKey worker(const std::string& place, unsigned slots = 100, double pressure = 0.5) {
        gate.add(next_key, slots, start, affinity_hash(place));
        gate.observe(start, next_key, pressure);
        gate.accept(next_key, true, start, events);
        return next_key++;
    }
    WorkerKey stays(const std::string& session) {
        return gate.arrive(start, {.draw = 0.9, .affinity = affinity_hash(session)}, events).worker;
    }
    WorkerKey visits(const std::string& session) { // and is done at once
        const auto worker = stays(session);
        gate.depart(start, worker, Outcome::success, events);
        return worker;
    }
    std::map<std::string, WorkerKey> homes(int sessions) {
        std::map<std::string, WorkerKey> homes;
        for (int i = 0; i < sessions; ++i) homes["session" + std::to_string(i)] = visits("session" + std::to_string(i));
        return homes;
    }
};

TEST_F(AffinityTest, sessions_keep_their_worker_and_are_spread_evenly) {
    for (const auto* place : {"app-1", "app-2", "app-3", "app-4"}) worker(place);
    const auto before = homes(4000);
    EXPECT_EQ(homes(4000), before);
    std::map<WorkerKey, int> sessions;
    for (const auto& [session, home] : before) ++sessions[home];
    for (const auto& [home, count] : sessions) EXPECT_NEAR(count, 1000, 120) << home;
}

TEST_F(AffinityTest, a_worker_that_goes_takes_only_its_own_sessions_along) {
    for (const auto* place : {"app-1", "app-2", "app-3", "app-4"}) worker(place);
    const auto before = homes(1000);
    gate.accept(2, false, start, events);
    for (const auto& [session, home] : homes(1000)) {
        EXPECT_NE(home, 2u);
        if (before.at(session) != 2) {
            EXPECT_EQ(home, before.at(session)) << session;
        }
    }
}

TEST_F(AffinityTest, a_recycle_moves_nobody) {
    for (const auto* place : {"app-1", "app-2", "app-3"}) worker(place);
    auto expected = homes(300);
    const auto successor = worker("app-2"); // the successor answers before the old one is drained
    gate.accept(2, false, start, events);
    for (auto& [session, home] : expected)
        if (home == 2) home = successor;
    EXPECT_EQ(homes(300), expected);
}

TEST_F(AffinityTest, a_large_fleet_moves_only_the_sessions_of_those_that_go_and_come_back) {
    for (int i = 1; i <= 200; ++i) worker("app-" + std::to_string(i));
    const auto before = homes(2000);
    std::map<WorkerKey, int> sessions;
    for (const auto& [session, home] : before) ++sessions[home];
    EXPECT_GT(sessions.size(), 190u);
    for (WorkerKey gone = 1; gone <= 6; ++gone) gate.accept(gone, false, start, events);
    for (const auto& [session, home] : homes(2000)) {
        EXPECT_GT(home, 6u);
        if (before.at(session) > 6) {
            EXPECT_EQ(home, before.at(session)) << session;
        }
    }
    for (WorkerKey back = 1; back <= 6; ++back) gate.accept(back, true, start, events);
    EXPECT_EQ(homes(2000), before);
}

TEST_F(AffinityTest, of_thousands_of_workers_each_is_home_to_some_and_few_others_move_when_one_goes) {
    for (int i = 1; i <= 3000; ++i) worker("app-" + std::to_string(i));
    const auto before = homes(30'000);
    std::map<WorkerKey, int> sessions;
    for (const auto& [session, home] : before) ++sessions[home];
    EXPECT_GT(sessions.size(), 2990u);
    for (const auto& [home, count] : sessions) EXPECT_LT(count, 30) << home;              // of ten on average
    for (WorkerKey gone = 1; gone <= 30; ++gone) gate.accept(gone, false, start, events); // one in a hundred
    int moved = 0;
    for (const auto& [session, home] : homes(30'000)) {
        EXPECT_GT(home, 30u);
        if (home != before.at(session)) ++moved;
    }
    EXPECT_LT(moved, 900) << "300 were theirs";
    for (WorkerKey back = 1; back <= 30; ++back) gate.accept(back, true, start, events);
    EXPECT_EQ(homes(30'000), before);
}

TEST_F(AffinityTest, a_session_that_floods_its_worker_is_spread) {
    for (const auto* place : {"app-1", "app-2", "app-3", "app-4"}) worker(place, 8);
    std::map<WorkerKey, int> in_flight;
    for (int i = 0; i < 16; ++i) ++in_flight[stays("one")];
    EXPECT_EQ(in_flight.size(), 4u);
    for (const auto& [home, count] : in_flight) EXPECT_LE(count, 6) << home; // 1.25 of 4, and one for the last to come
}

TEST_F(AffinityTest, a_few_requests_at_once_stay_together) {
    for (const auto* place : {"app-1", "app-2", "app-3", "app-4"}) worker(place, 16);
    const auto home = stays("browser");
    for (int i = 0; i < 5; ++i) EXPECT_EQ(stays("browser"), home);
}

TEST_F(AffinityTest, a_busy_home_makes_nobody_wait_while_another_worker_is_free) {
    worker("app-1", 1);
    worker("app-2", 1);
    const auto home = stays("one");
    EXPECT_NE(stays("one"), home);
    EXPECT_EQ(gate.stats().queued[1], 0u);
}

TEST_F(AffinityTest, memory_comes_first) {
    for (const auto* place : {"app-1", "app-2"}) worker(place);
    const auto home = visits("one");
    gate.observe(start, home, 0.92);
    EXPECT_NE(visits("one"), home);
    gate.observe(start, 3 - home, 0.89); // none is better: at home again
    EXPECT_EQ(visits("one"), home);
}

} // namespace
} // namespace plimsoll
