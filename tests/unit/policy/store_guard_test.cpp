#include "plimsoll/policy/store_guard.hpp"

#include <random>

#include <gtest/gtest.h>

#include "unit/policy/start.hpp"

namespace plimsoll {
namespace {

using namespace std::chrono_literals;
using News = StoreGuard::News;
using Result = Breaker::Result;

StoreGuard lost_at(Instant when) {
    StoreGuard guard(5ms);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(guard.record(when, Result::failed), News::none);
    EXPECT_EQ(guard.record(when, Result::failed), News::began);
    return guard;
}

TEST(StoreGuard, five_failures_in_a_row_lose_it_and_are_told_once) {
    auto guard = lost_at(start);
    EXPECT_FALSE(guard.admits(start));
    EXPECT_EQ(guard.record(start, Result::failed), News::none) << "one that was asked before";
}

TEST(StoreGuard, one_request_at_a_time_tries_whether_it_is_back) {
    auto guard = lost_at(start);
    EXPECT_FALSE(guard.admits(start + 99ms));
    EXPECT_TRUE(guard.admits(start + 100ms));
    EXPECT_FALSE(guard.admits(start + 100ms));
    EXPECT_EQ(guard.record(start + 100ms, Result::good), News::none);
    EXPECT_TRUE(guard.admits(start + 100ms));
    EXPECT_EQ(guard.record(start + 10s, Result::good), News::none);
    EXPECT_EQ(guard.record(start + 10'100ms, Result::good), News::ended) << "for good, as far as anybody knows";
    EXPECT_EQ(guard.lost().lasted(), 100ms);
}

TEST(StoreGuard, a_failed_probe_is_no_news_and_makes_the_next_one_later_but_at_most_a_second) {
    auto guard = lost_at(start);
    Instant now = start;
    unsigned probes = 0;
    for (; now < start + 60s; now += 1ms)
        if (guard.admits(now)) {
            ++probes;
            EXPECT_EQ(guard.record(now + 5ms, Result::failed), News::none);
        }
    EXPECT_GE(probes, 59U);
    EXPECT_LE(probes, 64U) << "at most one request in a second waits";
}

TEST(StoreGuard, a_probe_whose_client_left_proves_nothing_and_the_next_request_is_one) {
    auto guard = lost_at(start);
    EXPECT_TRUE(guard.admits(start + 100ms));
    EXPECT_EQ(guard.record(start + 100ms, Result::nothing), News::none);
    EXPECT_TRUE(guard.admits(start + 101ms));
}

TEST(StoreGuard, without_a_connection_it_is_lost_at_once) {
    StoreGuard guard(5ms);
    EXPECT_EQ(guard.unreachable(start), News::began);
    EXPECT_FALSE(guard.admits(start));
    EXPECT_EQ(guard.unreachable(start + 50ms), News::none);
    EXPECT_TRUE(guard.admits(start + 100ms)) << "further attempts do not put the probe off";
}

TEST(StoreGuard, no_probe_goes_while_an_answer_from_before_may_come) {
    StoreGuard guard(500ms);
    guard.unreachable(start);
    EXPECT_FALSE(guard.admits(start + 999ms));
    EXPECT_TRUE(guard.admits(start + 1s));
}

TEST(StoreGuard, a_failure_now_and_then_loses_nothing) {
    StoreGuard guard(5ms);
    for (int i = 0; i < 1000; ++i)
        EXPECT_EQ(guard.record(start + i * 1ms, i % 3 == 0 ? Result::failed : Result::good), News::none);
}

struct Told {
    unsigned began = 0, ended = 0;
    void add(News news) {
        began += news == News::began;
        ended += news == News::ended;
    }
};

TEST(StoreGuard, one_of_which_every_fifth_answer_is_late_trips_time_and_again_and_is_told_once) {
    StoreGuard guard(5ms);
    Told told;
    std::minstd_rand chance(1);
    const auto ask = [&](Instant from, Duration span, unsigned late_of_100) {
        for (Instant now = from; now < from + span; now += 200us)
            if (guard.admits(now))
                told.add(guard.record(now, chance() % 100 < late_of_100 ? Result::failed : Result::good));
    };
    ask(start, 2min, 20);
    EXPECT_GE(guard.trips(), 30U) << "every few seconds";
    EXPECT_EQ(told.began, 1U);
    EXPECT_EQ(told.ended, 0U);
    ask(start + 2min, 30s, 0);
    EXPECT_EQ(told.began, 1U);
    EXPECT_EQ(told.ended, 1U);
    EXPECT_GE(guard.lost().times(), 30U);
}

// Trips it by its next five answers, and lets the first probe after that succeed. How long it was left alone.
Duration relapse(StoreGuard& guard, Instant& now) {
    for (int i = 0; i < 5; ++i) guard.record(now, Result::failed);
    const auto tripped = now;
    while (!guard.admits(now)) now += 10ms;
    guard.record(now, Result::good);
    return now - tripped;
}

TEST(StoreGuard, one_that_fails_again_soon_is_left_alone_for_longer_until_it_has_been_well_for_a_while) {
    StoreGuard guard(5ms);
    Instant now = start;
    for (const auto rest : {100ms, 200ms, 400ms, 800ms, 1600ms, 2000ms, 2000ms}) {
        EXPECT_EQ(relapse(guard, now), rest);
        now += 9s;
    }
    now += 1s;
    EXPECT_EQ(relapse(guard, now), 100ms);
}

TEST(StoreGuard, of_another_store_the_first_answer_or_loss_is_told) {
    auto guard = lost_at(start);
    guard.replace(5ms);
    EXPECT_TRUE(guard.admits(start + 1ms));
    EXPECT_EQ(guard.unreachable(start + 1ms), News::began) << "it may be for another reason";
    guard.replace(5ms);
    EXPECT_EQ(guard.record(start + 1s, Result::failed), News::none);
    EXPECT_EQ(guard.record(start + 1s, Result::good), News::ended) << "the one that was lost cannot come back";
    EXPECT_EQ(guard.lost().lasted(), 1s);
    guard.replace(5ms);
    EXPECT_EQ(guard.record(start + 2s, Result::good), News::none) << "nobody was told that it was lost";
}

} // namespace
} // namespace plimsoll
