#include "plimsoll/policy/rate_limit.hpp"

#include <gtest/gtest.h>

#include "plimsoll/core/keyed_hash.hpp"
#include "plimsoll/policy/inflight_limit.hpp"
#include "unit/policy/start.hpp"

namespace plimsoll {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t alice = 7, bob = 8;

unsigned passed(RateTable& table, std::uint64_t key, const RateRule& rule, Instant from, Duration span, Duration step) {
    unsigned count = 0;
    for (Instant at = from; at < from + span; at += step) count += table.spend(at, key, rule).allowed;
    return count;
}

TEST(RateLimit, the_burst_passes_at_once_and_then_the_rate) {
    RateTable table(16);
    const auto rule = RateRule::per_second(10, 4);
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(table.spend(start, alice, rule).allowed) << i;
    const auto sixth = table.spend(start, alice, rule);
    EXPECT_FALSE(sixth.allowed);
    EXPECT_EQ(sixth.remaining, 0U);
    EXPECT_EQ(sixth.retry_after, 100ms);
    EXPECT_EQ(sixth.whole_after, 500ms);
    EXPECT_FALSE(table.spend(start + 99ms, alice, rule).allowed);
    EXPECT_TRUE(table.spend(start + 100ms, alice, rule).allowed);
}

TEST(RateLimit, who_hammers_is_served_at_his_rate_and_not_locked_out) {
    RateTable table(16);
    const auto rule = RateRule::per_second(10, 0);
    EXPECT_EQ(passed(table, alice, rule, start, 10s, 1ms), 100U);
}

TEST(RateLimit, those_who_share_a_count_come_back_over_half_as_long_again_in_each_second_equally_often) {
    const struct {
        Duration retry_after;
        std::vector<std::chrono::seconds> told;
    } cases[] = {{0s, {0s}}, {10ms, {1s, 2s}}, {1s, {1s, 2s}}, {1001ms, {2s, 3s}}, {9s, {9s, 10s, 11s, 12s, 13s, 14s}}};
    for (const auto& [retry_after, told] : cases)
        for (std::size_t i = 0; i < told.size(); ++i) {
            const auto share = static_cast<double>(told.size());
            EXPECT_EQ(spread_upwards(retry_after, static_cast<double>(i) / share + 1e-9), told[i]);
            EXPECT_EQ(spread_upwards(retry_after, static_cast<double>(i + 1) / share - 1e-9), told[i]);
        }
    EXPECT_LE(spread_upwards(1h, 0.999'999'999), 90min);
}

TEST(RateLimit, keys_do_not_share_their_counts) {
    RateTable table(16);
    const auto rule = RateRule::per_second(1, 0);
    EXPECT_TRUE(table.spend(start, alice, rule).allowed);
    EXPECT_TRUE(table.spend(start, bob, rule).allowed);
    EXPECT_FALSE(table.spend(start, alice, rule).allowed);
}

TEST(RateLimit, what_remains_is_told) {
    RateTable table(16);
    const auto rule = RateRule::per_second(1, 9);
    EXPECT_EQ(table.spend(start, alice, rule).remaining, 9U);
    EXPECT_EQ(table.spend(start, alice, rule).remaining, 8U);
    EXPECT_EQ(table.spend(start + 20s, alice, rule).remaining, 9U) << "nobody saves up more than the burst";
}

TEST(RateLimit, who_keeps_to_the_quota_he_is_told_gets_the_whole_rate) {
    for (const auto& rule : {RateRule::per_second(100, 0), RateRule::per_second(100, 20), RateRule::per_second(1, 0)}) {
        RateTable table(16);
        const auto quota = quota_of(rule, table.spend(start, alice, rule));
        EXPECT_EQ(quota.seconds, 1U);
        EXPECT_EQ(quota.requests, static_cast<std::uint64_t>(1s / rule.interval));
        EXPECT_EQ(quota.remaining, quota.requests - 1);
        EXPECT_EQ(quota.reset, 1U);
    }
}

TEST(RateLimit, who_came_too_early_is_not_told_that_he_may_go_on) {
    RateTable table(16);
    const auto rule = RateRule::per_second(10, 0);
    table.spend(start, alice, rule);
    const auto refused = table.spend(start + 20ms, alice, rule);
    ASSERT_FALSE(refused.allowed);
    EXPECT_EQ(quota_of(rule, refused).requests, 10U);
    EXPECT_EQ(quota_of(rule, refused).remaining, 0U);
}

TEST(RateLimit, a_quota_of_several_seconds_is_told_as_its_burst) {
    RateTable table(16);
    const auto rule = RateRule::per_second(10, 20);
    const auto quota = quota_of(rule, table.spend(start, alice, rule));
    EXPECT_EQ(quota.requests, 21U);
    EXPECT_EQ(quota.seconds, 3U);
    EXPECT_EQ(quota.remaining, 20U);
    EXPECT_EQ(quota.reset, 1U);
}

TEST(RateLimit, an_expensive_request_counts_for_several) {
    RateTable table(16);
    const auto rule = RateRule::per_second(10, 9, 5);
    EXPECT_EQ(passed(table, alice, rule, start, 10s, 1ms), 2U + 19U) << "two at once, then one every 500 ms";
}

TEST(RateLimit, a_refused_request_costs_nothing_and_a_returned_one_neither) {
    RateTable table(16);
    const auto rule = RateRule::per_second(1, 0);
    table.spend(start, alice, rule);
    for (int i = 0; i < 100; ++i) table.spend(start + 500ms, alice, rule);
    EXPECT_TRUE(table.spend(start + 1s, alice, rule).allowed);
    table.give_back(alice, rule);
    EXPECT_TRUE(table.spend(start + 1s, alice, rule).allowed);
    table.give_back(bob, rule); // never seen: nothing happens
}

TEST(RateLimit, what_was_given_back_is_told_as_what_is_there_again) {
    RateTable table(16);
    const auto rule = RateRule::per_second(1, 9, 2);
    const auto first = table.spend(start, alice, rule);
    const auto again = given_back(rule, table.spend(start, alice, rule));
    EXPECT_EQ(again.remaining, first.remaining);
    EXPECT_EQ(again.whole_after, first.whole_after);
    EXPECT_EQ(given_back(rule, first).remaining, 10U);
    EXPECT_EQ(given_back(rule, first).whole_after, 0s);
}

TEST(RateLimit, rates_of_an_hour_and_of_a_microsecond_are_exact) {
    RateTable table(16);
    EXPECT_EQ(passed(table, alice, RateRule::per_second(6.0 / 3600, 0), start, 2h, 1s), 12U);
    EXPECT_EQ(passed(table, bob, RateRule::per_second(1e6, 0), start, 1ms, 100ns), 1000U);
}

TEST(RateLimit, no_rate_and_no_burst_make_times_that_do_not_fit) {
    const auto rule = RateRule::per_second(0.01 / 3600, 1'000'000);
    RateTable table(16);
    EXPECT_GT(rule.window(), 1h);
    EXPECT_TRUE(table.spend(start, alice, rule).allowed);
}

TEST(RateLimit, in_a_full_table_the_oldest_goes_first) {
    RateTable table(4); // two sets
    const auto slow = RateRule::per_second(0.001, 0), fast = RateRule::per_second(1000, 0);
    table.spend(start, 5000, slow);
    for (std::uint64_t key = 1; key <= 1000; ++key) EXPECT_TRUE(table.spend(start + key * 1s, key, fast).allowed);
    EXPECT_FALSE(table.spend(start + 900s, 5000, slow).allowed) << "a debt for an hour outlives a thousand paid ones";
    EXPECT_EQ(table.forgotten(), 0U) << "keys whose time has passed are no loss";
    for (std::uint64_t key = 1; key <= 9; ++key) table.spend(start + 1000s, key, slow);
    EXPECT_GT(table.forgotten(), 0U);
}

TEST(RateLimit, a_million_keys_fit_into_a_table_of_a_million) {
    constexpr std::size_t keys = 1'000'000;
    RateTable table(keys);
    const auto rule = RateRule::per_second(0.001, 0);
    const auto key = [](std::size_t i) { return keyed_hash({1, 2}, std::to_string(i)); };
    std::size_t passed = 0, remembered = 0;
    for (std::size_t i = 0; i < keys; ++i) passed += table.spend(start, key(i), rule).allowed;
    EXPECT_EQ(passed, keys);
    EXPECT_LT(table.forgotten(), keys / 100);
    RecordProperty("forgotten", std::to_string(table.forgotten()));
    for (std::size_t i = 0; i < keys; ++i) remembered += !table.spend(start + 1s, key(i), rule).allowed;
    EXPECT_GT(remembered, keys / 100 * 98) << "who was forgotten pushes somebody out once more";
    EXPECT_LT(16.0 * static_cast<double>(table.capacity()) / keys, 21.5) << "bytes a key";
}

// Each stripe of the shell has a table of its own, and keys of one stripe have the same low bits.
TEST(RateLimit, keys_of_one_stripe_fit_as_well) {
    constexpr std::size_t keys = 20'000;
    RateTable table(keys);
    const auto rule = RateRule::per_second(0.001, 0);
    std::size_t spent = 0;
    for (std::size_t i = 0; spent < keys; ++i) {
        const std::uint64_t key = keyed_hash({1, 2}, std::to_string(i));
        if (key % 64 != 5) continue;
        table.spend(start, key, rule);
        ++spent;
    }
    EXPECT_LT(table.forgotten(), keys / 100);
}

TEST(RateLimit, a_key_whose_debt_is_paid_makes_room_in_whichever_set_it_is) {
    constexpr std::size_t keys = 100'000;
    RateTable table(keys);
    const auto rule = RateRule::per_second(0.1, 0);
    for (std::size_t round = 0; round < 5; ++round)
        for (std::size_t i = 0; i < keys; ++i)
            table.spend(start + round * 10s, keyed_hash({1, round}, std::to_string(i)), rule);
    EXPECT_LT(table.forgotten(), 5 * keys / 100);
}

TEST(InflightLimit, as_many_as_allowed_are_under_way_and_no_more) {
    InflightTable table;
    EXPECT_TRUE(table.enter(alice, 2));
    EXPECT_TRUE(table.enter(alice, 2));
    EXPECT_FALSE(table.enter(alice, 2));
    EXPECT_TRUE(table.enter(bob, 2));
    table.leave(alice);
    EXPECT_TRUE(table.enter(alice, 2));
}

TEST(InflightLimit, a_key_with_nothing_under_way_takes_no_room) {
    InflightTable table;
    for (std::uint64_t key = 0; key < 1000; ++key) {
        EXPECT_TRUE(table.enter(key, 1));
        table.leave(key);
    }
    EXPECT_FALSE(table.enter(1, 0));
    table.leave(99); // never entered: nothing happens
    EXPECT_EQ(table.keys(), 0U);
}

TEST(RateLimit, nobody_owes_more_than_the_limit_of_now_can_ask_of_him) {
    RateTable table(16);
    const auto before = RateRule::per_second(1.0 / 60, 59), after = RateRule::per_second(100, 99);
    for (int i = 0; i < 60; ++i) EXPECT_TRUE(table.spend(start, alice, before).allowed);
    const auto refused = table.spend(start, alice, after); // an hour of debts, by the limit of before
    EXPECT_FALSE(refused.allowed);
    EXPECT_EQ(refused.retry_after, 10ms);
    EXPECT_EQ(passed(table, alice, after, start + 10ms, 1s, 10ms), 100U);
}

} // namespace
} // namespace plimsoll
