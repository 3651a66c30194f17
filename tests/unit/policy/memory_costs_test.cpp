#include "plimsoll/policy/memory_costs.hpp"

#include <array>
#include <random>

#include <gtest/gtest.h>

#include "unit/policy/labels.hpp"

namespace plimsoll {
namespace {

using namespace std::chrono_literals;

constexpr CostKey other = 3;
constexpr Bytes nothing_much = 8_MiB;

double mebibytes(Bytes amount) { return static_cast<double>(amount.count) / (1 << 20); }

TEST(Sketch, a_quantile_is_never_too_low_and_at_most_a_tenth_too_high) {
    Sketch sketch;
    for (int i = 1; i <= 1000; ++i) sketch.add(1_MiB * i);
    for (const double share : {0.1, 0.5, 0.9, 0.99, 1.0}) {
        const double exact = share * 1000;
        EXPECT_GE(mebibytes(sketch.quantile(share)), exact * 0.999) << share;
        EXPECT_LE(mebibytes(sketch.quantile(share)), exact * 1.1) << share;
    }
    EXPECT_EQ(Sketch{}.quantile(0.5), Bytes{});
}

TEST(Sketch, what_is_not_seen_any_more_is_forgotten_slowly) {
    Sketch sketch;
    for (int i = 0; i < 200; ++i) sketch.add(800_MiB);
    for (int i = 0; i < 500; ++i) sketch.add(1_MiB);
    EXPECT_GT(sketch.quantile(0.99), 700_MiB) << "too soon";
    for (int i = 0; i < 6000; ++i) sketch.add(1_MiB);
    EXPECT_LT(sketch.quantile(0.99), 2_MiB);
}

TEST(MemoryCosts, a_label_is_known_after_three_readings_of_its_own) {
    MemoryCosts costs;
    const std::array alone{Ran{heavy}};
    for (int i = 0; i < 2; ++i) costs.rose(alone, 200_MiB, nothing_much);
    EXPECT_FALSE(costs.known(heavy));
    EXPECT_EQ(costs.expected(heavy), 200_MiB) << "but a first guess is better than none";
    costs.rose(alone, 201_MiB, nothing_much);
    ASSERT_TRUE(costs.known(heavy));
    EXPECT_EQ(costs.expected(heavy), 201_MiB);
}

TEST(MemoryCosts, what_is_recalled_is_known_at_once_and_outvoted_by_some_hundred_readings) {
    MemoryCosts costs;
    costs.recall(heavy, 200_MiB);
    EXPECT_TRUE(costs.known(heavy));
    EXPECT_FALSE(costs.cold(Instant{} + 1h, heavy));
    EXPECT_NEAR(mebibytes(costs.expected(heavy)), 200, 1);
    costs.recall(heavy, 900_MiB);
    EXPECT_NEAR(mebibytes(costs.expected(heavy)), 200, 1) << "it was learned already";
    const std::array ran = {Ran{heavy, 1, true}};
    for (int i = 0; i < 80; ++i) costs.rose(ran, 1_MiB, nothing_much);
    EXPECT_GT(costs.expected(heavy), 100_MiB) << "too soon";
    for (int i = 0; i < 40; ++i) costs.rose(ran, 1_MiB, nothing_much);
    EXPECT_LT(costs.expected(heavy), 2_MiB);
}

// The agent's readings: a second of a worker that served twenty requests, of which a tenth need 200 MB.
TEST(MemoryCosts, readings_over_many_requests_tell_the_heavy_label_from_the_light_one) {
    std::mt19937_64 random(7);
    MemoryCosts costs;
    for (int reading = 0; reading < 150; ++reading) {
        bool with_heavy = false;
        for (int request = 0; request < 20; ++request) with_heavy |= random() % 10 == 0;
        const std::array both{Ran{light}, Ran{heavy}};
        const std::array only_light{Ran{light}};
        if (with_heavy)
            costs.rose(both, 200_MiB, Bytes{});
        else
            costs.rose(only_light, 1_MiB, Bytes{});
    }
    EXPECT_NEAR(mebibytes(costs.expected(heavy)), 200, 20);
    EXPECT_LT(mebibytes(costs.expected(light)), 2) << "blamed for its neighbour";
}

TEST(MemoryCosts, who_is_seen_first_beside_those_who_are_known_to_need_as_much_is_not_blamed) {
    MemoryCosts costs;
    for (int i = 0; i < 5; ++i) costs.rose(std::array{Ran{heavy}}, 200_MiB, nothing_much);
    const std::array beside{Ran{heavy, 2}, Ran{light}};
    for (int i = 0; i < 5; ++i) EXPECT_FALSE(costs.rose(beside, 400_MiB, nothing_much));
    EXPECT_EQ(costs.readings(light), 0U);
    const auto learned = costs.rose(std::array{Ran{heavy}, Ran{other}}, 500_MiB, nothing_much);
    ASSERT_TRUE(learned) << "that is more than the known one needs";
    EXPECT_EQ(learned->label, other);
}

TEST(MemoryCosts, who_was_blamed_and_has_been_seen_without_it_explains_nothing) {
    MemoryCosts costs;
    for (int i = 0; i < 3; ++i) costs.rose(std::array{Ran{light}}, 200_MiB, nothing_much);
    costs.rose(std::array{Ran{light}}, 1_MiB, nothing_much);
    const auto learned = costs.rose(std::array{Ran{light}, Ran{heavy}}, 150_MiB, nothing_much);
    ASSERT_TRUE(learned);
    EXPECT_EQ(learned->label, heavy);
}

TEST(MemoryCosts, two_at_once_need_half_of_the_rise_each) {
    MemoryCosts costs;
    const std::array twice{Ran{heavy, 2}};
    for (int i = 0; i < 5; ++i) costs.rose(twice, 400_MiB, nothing_much);
    EXPECT_NEAR(mebibytes(costs.expected(heavy)), 200, 1);
}

TEST(MemoryCosts, a_label_beyond_the_table_is_blamed_for_nothing_and_spoils_no_reading_of_another) {
    MemoryCosts costs;
    const std::array strange{Ran{light}, Ran{static_cast<CostKey>(MemoryCosts::most + 1)}};
    for (int i = 0; i < 5; ++i) costs.rose(strange, 500_MiB, nothing_much);
    EXPECT_FALSE(costs.known(light));
    EXPECT_FALSE(costs.known(static_cast<CostKey>(MemoryCosts::most + 1)));
    EXPECT_FALSE(costs.known(0));
}

TEST(MemoryCosts, where_memory_hardly_rose_everybody_who_ended_is_light) {
    MemoryCosts costs;
    const std::array many{Ran{light}, Ran{other}, Ran{heavy, 1, false}};
    for (int i = 0; i < 3; ++i) costs.rose(many, 2_MiB, nothing_much);
    EXPECT_TRUE(costs.known(light));
    EXPECT_TRUE(costs.known(other));
    EXPECT_FALSE(costs.known(heavy)) << "it has not ended, and may need much yet";
}

TEST(MemoryCosts, two_strangers_of_one_reading_are_not_blamed_for_each_other) {
    MemoryCosts costs;
    const std::array both{Ran{light}, Ran{heavy}};
    for (int i = 0; i < 5; ++i) costs.rose(both, 200_MiB, nothing_much);
    EXPECT_EQ(costs.readings(light), 0U);
    EXPECT_EQ(costs.readings(heavy), 0U);
}

TEST(MemoryCosts, a_key_that_is_another_labels_now_begins_anew_with_what_it_was_a_part_of) {
    MemoryCosts costs;
    const std::array alone{Ran{other}};
    const std::array whole{Ran{heavy}};
    for (int i = 0; i < 3; ++i) costs.rose(alone, 9_MiB, nothing_much);
    for (int i = 0; i < 3; ++i) costs.rose(whole, 200_MiB, nothing_much);
    costs.take_over(other);
    EXPECT_FALSE(costs.known(other));
    EXPECT_EQ(costs.expected(other), Bytes{});
    costs.take_over(other, heavy);
    EXPECT_FALSE(costs.known(other));
    EXPECT_EQ(costs.expected(other), 200_MiB);
    costs.rose(alone, 1_MiB, nothing_much);
    EXPECT_EQ(costs.expected(other), 1_MiB) << "what it shows itself counts more";
}

// Every report has a name of its own, and is made once.
TEST(MemoryCosts, what_nobody_asked_for_before_is_expected_to_need_what_most_of_its_family_needed_at_first) {
    using Likeness = MemoryCosts::Likeness;
    constexpr CostKey family = 1100;
    MemoryCosts costs;
    costs.take_over(family);
    for (CostKey name = 10; name < 20; ++name) {
        costs.take_over(name, family, Likeness::of_a_family);
        EXPECT_EQ(costs.expected(name), name > 13 ? 200_MiB : Bytes{}) << name;
        costs.rose(std::array{Ran{name}}, 200_MiB, nothing_much);
    }
    // A page that everybody reads says no more of its family than one that is read three times.
    costs.take_over(20, family, Likeness::of_a_family);
    for (int i = 0; i < 1000; ++i) costs.rose(std::array{Ran{20}}, 1_MiB, nothing_much);
    EXPECT_EQ(costs.expected(20), 1_MiB);
    costs.take_over(21, family, Likeness::of_a_family);
    EXPECT_EQ(costs.expected(21), 200_MiB);
}

TEST(MemoryCosts, one_heavy_member_says_nothing_of_its_family) {
    using Likeness = MemoryCosts::Likeness;
    constexpr CostKey family = 1100;
    MemoryCosts costs;
    costs.take_over(family);
    costs.take_over(heavy, family, Likeness::of_a_family);
    for (int i = 0; i < 10; ++i) costs.rose(std::array{Ran{heavy}}, 200_MiB, nothing_much);
    costs.take_over(light, family, Likeness::of_a_family);
    EXPECT_EQ(costs.expected(light), Bytes{}) << "it was the only one";
    for (int i = 0; i < 10; ++i) costs.rose(std::array{Ran{light}}, 1_MiB, nothing_much);
    costs.take_over(other, family, Likeness::of_a_family);
    EXPECT_LT(costs.expected(other), 2_MiB) << "one of two is";
}

TEST(MemoryCosts, the_looks_of_a_label_are_believed_for_five_seconds) {
    constexpr CostKey family = 1100;
    MemoryCosts costs;
    for (int i = 0; i < 4; ++i) costs.rose(std::array{Ran{family}}, 200_MiB, nothing_much);
    costs.take_over(light, family, MemoryCosts::Likeness::of_a_family);
    const Instant start{std::chrono::hours{1}};
    costs.asked(start, light);
    EXPECT_EQ(costs.expected(light), 200_MiB);
    costs.asked(start + MemoryCosts::family_for - 1ms, light);
    EXPECT_EQ(costs.expected(light), 200_MiB);
    costs.asked(start + MemoryCosts::family_for, light);
    EXPECT_EQ(costs.expected(light), Bytes{}) << "it can't be read here";
}

TEST(MemoryCosts, keys_that_change_hands_make_no_circle) {
    MemoryCosts costs;
    costs.take_over(light, heavy);
    costs.take_over(heavy, light);
    EXPECT_EQ(costs.expected(light), Bytes{});
    costs.rose(std::array{Ran{light}}, 200_MiB, nothing_much);
    EXPECT_EQ(costs.expected(light), 200_MiB);
}

TEST(MemoryCosts, a_label_whose_requests_are_not_alike_is_seen_to_be_uneven) {
    MemoryCosts costs;
    const std::array alone{Ran{other}};
    for (int i = 0; i < 40; ++i) costs.rose(alone, i % 10 == 0 ? 200_MiB : 1_MiB, nothing_much);
    EXPECT_TRUE(costs.uneven(other, nothing_much));
    const std::array even{Ran{heavy}};
    for (int i = 0; i < 40; ++i) costs.rose(even, 200_MiB + 1_MiB * (i % 20), nothing_much);
    EXPECT_FALSE(costs.uneven(heavy, nothing_much));
}

TEST(Sketch, what_was_wrong_is_taken_back) {
    Sketch sketch;
    for (const Bytes each : {1_MiB, 2_MiB, 500_MiB}) sketch.add(each);
    EXPECT_TRUE(sketch.replace(500_MiB, 3_MiB));
    EXPECT_FALSE(sketch.replace(500_MiB, 3_MiB));
    EXPECT_EQ(sketch.count(), 3U);
    EXPECT_LT(sketch.quantile(1), 3_MiB * 2);
    sketch.drop_highest(2);
    EXPECT_EQ(sketch.count(), 1U);
    EXPECT_LT(sketch.quantile(1), 2_MiB);
    EXPECT_EQ(sketch.above(64_MiB), 0U);
}

TEST(MemoryCosts, what_the_first_one_in_a_process_loads_for_good_is_no_need_of_the_next) {
    MemoryCosts costs;
    const std::array first{Ran{heavy, 1, true, true}}, later{Ran{heavy}};
    costs.rose(first, 430_MiB, nothing_much, 400_MiB);
    EXPECT_NEAR(mebibytes(costs.expected(heavy)), 30, 3);
    EXPECT_EQ(costs.at_first(heavy), 430_MiB);
    for (int i = 0; i < 20; ++i) costs.rose(later, 30_MiB, nothing_much);
    EXPECT_NEAR(mebibytes(costs.expected(heavy)), 30, 3);
    EXPECT_EQ(costs.at_first(heavy), 430_MiB) << "in the next process it will be loaded again";
    for (int process = 0; process < 8; ++process) costs.rose(first, 30_MiB, nothing_much, {});
    EXPECT_NEAR(mebibytes(costs.at_first(heavy)), 30, 3) << "until it is not: preloaded since a release";
}

TEST(MemoryCosts, a_correction_reaches_what_was_learned_and_whoever_it_is_like) {
    constexpr CostKey family = 1100;
    MemoryCosts costs;
    costs.take_over(heavy, family);
    const auto learned = costs.rose(std::array{Ran{heavy, 1, true, true}}, 430_MiB, nothing_much);
    ASSERT_TRUE(learned);
    EXPECT_EQ(costs.expected(heavy), 430_MiB) << "as far as anybody knows";
    costs.correct({*learned, 30_MiB, 430_MiB});
    EXPECT_NEAR(mebibytes(costs.expected(heavy)), 30, 3);
    EXPECT_NEAR(mebibytes(costs.expected(family)), 30, 3);
    EXPECT_EQ(costs.at_first(heavy), 430_MiB);
}

TEST(MemoryCosts, a_rise_as_high_as_when_nothing_ran_is_not_the_doing_of_who_has_been_seen_without) {
    MemoryCosts costs;
    costs.rose(std::array{Ran{light}}, 1_MiB, nothing_much);
    costs.rose_by_itself(Instant{}, {{}, 250_MiB}, nothing_much);
    for (int i = 0; i < 10; ++i) EXPECT_FALSE(costs.rose(std::array{Ran{light}}, 255_MiB, nothing_much));
    EXPECT_LT(costs.expected(light), 2_MiB);
    EXPECT_TRUE(costs.rose(std::array{Ran{light}}, 500_MiB, nothing_much)) << "that is more than a thread has shown";
    EXPECT_TRUE(costs.rose(std::array{Ran{heavy}}, 200_MiB, nothing_much)) << "a stranger may need as much";
}

// A thread that is seen for what it is only after many seconds of steady traffic.
TEST(MemoryCosts, who_was_blamed_many_times_is_believed_light_after_a_few_looks_at_what_happens_by_itself) {
    MemoryCosts costs;
    for (int i = 0; i < 100; ++i) costs.rose(std::array{Ran{light}}, i % 4 == 0 ? 250_MiB : 1_MiB, nothing_much);
    costs.rose(std::array{Ran{light}}, 1_MiB, nothing_much);
    ASSERT_GT(costs.expected(light), nothing_much);
    for (int i = 0; i < 6; ++i) costs.rose_by_itself(Instant{}, {{}, 250_MiB}, nothing_much);
    EXPECT_LT(costs.expected(light), 2_MiB);
}

TEST(MemoryCosts, a_climb_that_is_seen_in_slices_takes_back_no_more_than_one_that_is_seen_whole) {
    MemoryCosts whole, sliced;
    for (MemoryCosts* costs : {&whole, &sliced}) {
        for (int i = 0; i < 64; ++i) costs->rose(std::array{Ran{light}}, 250_MiB, nothing_much);
        costs->rose(std::array{Ran{light}}, 1_MiB, nothing_much);
    }
    whole.rose_by_itself(Instant{}, {{}, 250_MiB}, nothing_much);
    for (int slice = 0; slice < 10; ++slice)
        sliced.rose_by_itself(Instant{}, {Bytes{25 * slice << 20}, Bytes{25 * (slice + 1) << 20}}, nothing_much);
    EXPECT_EQ(sliced.saying_so(light), whole.saying_so(light));
    EXPECT_EQ(whole.saying_so(light), 32U);
}

TEST(MemoryCosts, what_is_higher_than_all_that_happens_by_itself_is_never_taken_back) {
    MemoryCosts costs;
    for (int i = 0; i < 5; ++i) costs.rose(std::array{Ran{light}}, 900_MiB, nothing_much);
    costs.rose(std::array{Ran{light}}, 1_MiB, nothing_much);
    for (int i = 0; i < 50; ++i) costs.rose_by_itself(Instant{}, {{}, 250_MiB}, nothing_much);
    EXPECT_GT(costs.expected(light), 800_MiB);
}

TEST(MemoryCosts, who_was_blamed_for_what_the_process_does_by_itself_is_believed_to_need_it_no_more) {
    MemoryCosts costs;
    costs.rose(std::array{Ran{light, 1, true, true}}, 250_MiB, nothing_much);
    for (int i = 0; i < 5; ++i) costs.rose(std::array{Ran{light}}, 1_MiB, nothing_much);
    ASSERT_EQ(costs.expected(light), 250_MiB);
    costs.rose_by_itself(Instant{}, {{}, 250_MiB}, nothing_much);
    EXPECT_LT(costs.at_first(light), 2_MiB);
    costs.passes(Instant{} + 1h);
    EXPECT_TRUE(costs.rose(std::array{Ran{light}}, 250_MiB, nothing_much)) << "the thread has long ended";
}

TEST(MemoryCosts, one_large_climb_long_ago_excuses_nobody_however_often_small_ones_follow) {
    MemoryCosts costs;
    Instant now = Instant{} + 1000s;
    for (int i = 0; i < 2; ++i) costs.rose(std::array{Ran{light}}, 1_MiB, nothing_much); // as a cheap refusal
    costs.rose_by_itself(now, {{}, 400_MiB}, nothing_much);
    for (int minute = 0; minute < 30; ++minute) {
        now += 1min;
        costs.rose_by_itself(now, {{}, 20_MiB}, nothing_much);
        for (int i = 0; i < 20; ++i) costs.rose(std::array{Ran{light}}, 300_MiB, nothing_much);
        EXPECT_TRUE(minute >= 4 || costs.expected(light) < 2_MiB) << minute;
    }
    EXPECT_GT(costs.expected(light), 290_MiB);
}

TEST(MemoryCosts, what_is_not_seen_again_in_thirty_times_as_many_readings_is_doubted) {
    MemoryCosts costs;
    for (int i = 0; i < 2; ++i) costs.rose(std::array{Ran{light}}, 250_MiB, nothing_much);
    for (int i = 0; i < 59; ++i) costs.rose(std::array{Ran{light}}, 1_MiB, nothing_much);
    EXPECT_GT(costs.expected(light), 200_MiB);
    for (int i = 0; i < 2; ++i) costs.rose(std::array{Ran{light}}, 1_MiB, nothing_much);
    EXPECT_LT(costs.expected(light), 2_MiB);
}

TEST(MemoryCosts, one_in_ten_is_never_doubted_for_long) {
    std::mt19937_64 random(5);
    MemoryCosts costs;
    int doubted = 0;
    for (int reading = 0; reading < 2000; ++reading) {
        costs.rose(std::array{Ran{heavy}}, random() % 10 == 0 ? 200_MiB : 1_MiB, nothing_much);
        doubted += reading > 100 && costs.expected(heavy) < 200_MiB;
    }
    EXPECT_EQ(doubted, 0);
}

} // namespace
} // namespace plimsoll
