#include "plimsoll/policy/store_guard.hpp"

#include <gtest/gtest.h>

#include "unit/policy/start.hpp"

namespace plimsoll {
namespace {

using namespace std::chrono_literals;
using Change = StoreGuard::Change;
using Result = Breaker::Result;

StoreGuard lost_at(Instant when) {
    StoreGuard guard(5ms);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(guard.record(when, Result::failed), Change::none);
    EXPECT_EQ(guard.record(when, Result::failed), Change::lost);
    return guard;
}

TEST(StoreGuard, five_failures_in_a_row_lose_it_and_are_told_once) {
    auto guard = lost_at(start);
    EXPECT_FALSE(guard.admits(start));
    EXPECT_EQ(guard.record(start, Result::failed), Change::none) << "one that was asked before";
}

TEST(StoreGuard, one_request_at_a_time_tries_whether_it_is_back) {
    auto guard = lost_at(start);
    EXPECT_FALSE(guard.admits(start + 99ms));
    EXPECT_TRUE(guard.admits(start + 100ms));
    EXPECT_FALSE(guard.admits(start + 100ms));
    EXPECT_EQ(guard.record(start + 100ms, Result::good), Change::back);
    EXPECT_TRUE(guard.admits(start + 100ms));
}

TEST(StoreGuard, a_failed_probe_is_no_news_and_makes_the_next_one_later_but_at_most_a_second) {
    auto guard = lost_at(start);
    Instant now = start;
    unsigned probes = 0;
    for (; now < start + 60s; now += 1ms)
        if (guard.admits(now)) {
            ++probes;
            EXPECT_EQ(guard.record(now + 5ms, Result::failed), Change::none);
        }
    EXPECT_GE(probes, 59U);
    EXPECT_LE(probes, 64U) << "at most one request in a second waits";
}

TEST(StoreGuard, a_probe_whose_client_left_proves_nothing_and_the_next_request_is_one) {
    auto guard = lost_at(start);
    EXPECT_TRUE(guard.admits(start + 100ms));
    EXPECT_EQ(guard.record(start + 100ms, Result::nothing), Change::none);
    EXPECT_TRUE(guard.admits(start + 101ms));
}

TEST(StoreGuard, without_a_connection_it_is_lost_at_once) {
    StoreGuard guard(5ms);
    EXPECT_EQ(guard.unreachable(start), Change::lost);
    EXPECT_FALSE(guard.admits(start));
    EXPECT_EQ(guard.unreachable(start + 50ms), Change::none);
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
        EXPECT_EQ(guard.record(start + i * 1ms, i % 3 == 0 ? Result::failed : Result::good), Change::none);
}

} // namespace
} // namespace plimsoll
