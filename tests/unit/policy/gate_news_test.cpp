#include "plimsoll/policy/gate_news.hpp"

#include <gtest/gtest.h>

#include "unit/policy/start.hpp"

namespace plimsoll {
namespace {

using namespace std::chrono_literals;
using What = GateNews::What;

class Looks { // at a gate whose numbers the test says, one a second
public:
    std::vector<GateNews> look() { return reporter_.look(now_ += 1s, stats); }
    std::vector<GateNews> look_for(Duration length) { // all that is told meanwhile
        std::vector<GateNews> all;
        for (const Instant end = now_ + length; now_ < end;)
            for (GateNews& each : look()) all.push_back(std::move(each));
        return all;
    }
    void workers(std::size_t count) {
        for (WorkerKey key = 1; key <= count; ++key) stats.workers.emplace_back().worker = key;
    }
    void trip(std::size_t which) {
        stats.workers[which].breaker.state = Breaker::State::tripped;
        ++stats.workers[which].breaker.trips;
    }
    Gate::Stats stats;

private:
    GateReporter reporter_;
    Instant now_ = start;
};

TEST(GateNews, a_gate_that_is_calm_says_nothing) {
    Looks looks;
    looks.workers(4);
    looks.stats.admitted = 1000;
    looks.stats.refused[index(Reason::rate)] = 7;
    EXPECT_TRUE(looks.look_for(1min).empty());
}

TEST(GateNews, overload_tells_how_long_it_took_and_how_many_were_refused_in_it) {
    Looks looks;
    looks.stats.refused[index(Reason::concurrency)] = 100; // before
    looks.look();
    looks.stats.overloaded = true;
    looks.stats.queued[1] = 41;
    looks.stats.service_time = 5ms;
    looks.stats.refused[index(Reason::concurrency)] = 130; // with its first second
    auto told = looks.look();
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told[0].what, What::overload);
    EXPECT_TRUE(told[0].began);
    EXPECT_NE(told[0].why.find("41 wait"), std::string::npos) << told[0].why;

    looks.stats.refused[index(Reason::concurrency)] = 200;
    looks.stats.refused[index(Reason::queue_full)] = 5;
    looks.stats.refused[index(Reason::breaker)] = 1000; // another matter
    looks.stats.shadow_refused[index(Reason::concurrency)] = 3;
    EXPECT_TRUE(looks.look_for(20s).empty());
    looks.stats.overloaded = false;
    looks.stats.refused[index(Reason::concurrency)] = 210; // until it ended
    looks.look();
    looks.stats.refused[index(Reason::concurrency)] = 999; // and after
    told = looks.look_for(20s);
    ASSERT_EQ(told.size(), 1U);
    EXPECT_FALSE(told[0].began);
    EXPECT_EQ(told[0].lasted, 21s);
    EXPECT_EQ(told[0].refused, 115U);
    EXPECT_EQ(told[0].shadow_refused, 3U);
    EXPECT_EQ(told[0].times, 1U);
}

TEST(GateNews, shedding_for_memory_tells_whose_limit_is_near_and_how_near_it_came) {
    Looks looks;
    looks.stats.memory_shedding = true;
    looks.stats.memory_pressure = 0.87;
    looks.stats.memory_cause = PressureOf::cgroup;
    auto told = looks.look();
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told[0].what, What::memory_shedding);
    EXPECT_EQ(told[0].why, "the memory of the workers' cgroup is at 87 %");
    looks.stats.memory_pressure = 0.93;
    looks.look();
    looks.stats.memory_shedding = false;
    looks.stats.memory_pressure = 0.6;
    told = looks.look_for(20s);
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told[0].why, "memory is below the line again; at most 93 %");
}

TEST(GateNews, shedding_that_does_not_help_is_told_as_such) {
    Looks looks;
    looks.stats.memory_shedding = true;
    looks.stats.memory_pressure = 0.9;
    looks.look_for(30s);
    looks.stats.memory_shedding = false;
    looks.stats.shedding_futile = true;
    auto told = looks.look_for(20s);
    ASSERT_EQ(told.size(), 2U);
    EXPECT_EQ(told[0].what, What::shedding_futile);
    EXPECT_TRUE(told[0].began);
    EXPECT_EQ(told[1].what, What::memory_shedding);
    EXPECT_EQ(told[1].why, "it did not help; at most 90 %");
}

TEST(GateNews, panic_tells_how_many_are_ailing) {
    Looks looks;
    looks.workers(4);
    for (std::size_t which : {0, 1, 2}) looks.stats.workers[which].ailing = true;
    looks.stats.health_panic = true;
    const auto told = looks.look();
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told[0].what, What::health_panic);
    EXPECT_NE(told[0].why.find("3 of 4"), std::string::npos) << told[0].why;
}

TEST(GateNews, a_brake_for_stalls_is_told) {
    Looks looks;
    looks.stats.stall_shedding = true;
    looks.stats.stall = 0.31;
    const auto told = looks.look();
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told[0].what, What::stall_shedding);
    EXPECT_NE(told[0].why.find("31 %"), std::string::npos) << told[0].why;
}

TEST(GateNews, a_worker_whose_probes_fail_is_told_once_and_with_its_trips) {
    Looks looks;
    looks.workers(3);
    looks.look();
    looks.trip(1);
    auto told = looks.look();
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told[0].what, What::worker_breaker);
    EXPECT_EQ(told[0].worker, 2U);
    looks.stats.workers[1].breaker.state = Breaker::State::probing;
    EXPECT_TRUE(looks.look_for(30s).empty()) << "whom a probe goes to does not pass yet";
    looks.trip(1);
    EXPECT_TRUE(looks.look_for(5s).empty());
    looks.stats.workers[1].breaker.state = Breaker::State::passing;
    told = looks.look_for(20s);
    ASSERT_EQ(told.size(), 1U);
    EXPECT_FALSE(told[0].began);
    EXPECT_EQ(told[0].worker, 2U);
    EXPECT_EQ(told[0].times, 2U);
    EXPECT_EQ(told[0].lasted, 36s);
    EXPECT_FALSE(told[0].gone);
}

TEST(GateNews, a_trip_that_was_over_between_two_looks_is_told_all_the_same) {
    Looks looks;
    looks.workers(3);
    looks.look();
    looks.trip(0);
    looks.stats.workers[0].breaker.state = Breaker::State::passing;
    EXPECT_EQ(looks.look().size(), 1U);
    EXPECT_EQ(looks.look_for(20s).size(), 1U);
}

TEST(GateNews, a_tripped_worker_that_is_gone_is_no_news_for_ever) {
    Looks looks;
    looks.workers(2);
    looks.trip(0);
    looks.look();
    looks.stats.workers.erase(looks.stats.workers.begin());
    const auto told = looks.look();
    ASSERT_EQ(told.size(), 1U);
    EXPECT_TRUE(told[0].gone);
    EXPECT_EQ(told[0].worker, 1U);
    EXPECT_EQ(told[0].lasted, 1s);
    EXPECT_TRUE(looks.look_for(1min).empty());
}

TEST(GateNews, a_route_tells_whom_its_breaker_refused_or_would_have) {
    Looks looks;
    looks.stats.routes.resize(4);
    looks.look();
    looks.stats.routes[3] = {Breaker::State::tripped, 1};
    auto told = looks.look();
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told[0].what, What::route_breaker);
    EXPECT_EQ(told[0].route, 3);
    looks.stats.refused[index(Reason::breaker)] = 12;
    looks.stats.shadow_refused[index(Reason::breaker)] = 34;
    looks.look();
    looks.stats.routes[3].state = Breaker::State::passing;
    told = looks.look_for(20s);
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told[0].refused, 12U);
    EXPECT_EQ(told[0].shadow_refused, 34U);
}

TEST(GateNews, a_host_that_dies_with_all_its_workers_is_told_in_twenty_lines) {
    Looks looks;
    looks.workers(1000);
    looks.look();
    for (std::size_t which = 0; which < 500; ++which) looks.trip(which);
    looks.stats.overloaded = true;
    auto told = looks.look();
    ASSERT_EQ(told.size(), 1U + GateReporter::most_told);
    EXPECT_EQ(told.front().what, What::overload) << "what the pool itself does is never left out";
    EXPECT_EQ(told.back().untold, 500U - GateReporter::most_told);
    EXPECT_TRUE(looks.look_for(30s).empty());
    for (auto& worker : looks.stats.workers) worker.breaker.state = Breaker::State::passing;
    looks.stats.overloaded = false;
    told = looks.look_for(30s);
    EXPECT_EQ(told.size(), 1U + GateReporter::most_told)
        << "whose beginning was not told, of him the end is not either";
    looks.trip(777);
    told = looks.look();
    ASSERT_EQ(told.size(), 1U) << "after a while there is room again";
    EXPECT_EQ(told[0].untold, 0U);
}

TEST(GateNews, pressure_is_of_whatever_limit_is_nearest) {
    Gate gate({});
    Gate::Events events;
    const auto cause = [&] { return gate.stats().memory_cause; };
    gate.add(1, 1, start);
    gate.accept(1, true, start, events);
    EXPECT_EQ(cause(), PressureOf::unknown);
    gate.observe(start, 1, 0.5, {500_MiB, 1000_MiB, {1, 2}});
    EXPECT_EQ(cause(), PressureOf::worker);
    gate.observe_domain(1, 900_MiB, 1000_MiB);
    gate.observe(start, 1, 0.5, {500_MiB, 1000_MiB, {1, 2}});
    EXPECT_EQ(cause(), PressureOf::cgroup);
    gate.observe_domain(2, 990_MiB, 1000_MiB);
    gate.observe(start, 1, 0.5, {500_MiB, 1000_MiB, {1, 2}});
    EXPECT_EQ(cause(), PressureOf::host);
    gate.observe(start, 1, -1, {});
    EXPECT_EQ(cause(), PressureOf::unknown);
}

} // namespace
} // namespace plimsoll
