#include "plimsoll/policy/resting_memory.hpp"

#include <utility>

#include <gtest/gtest.h>

#include "unit/policy/labels.hpp"

namespace plimsoll {
namespace {

constexpr Bytes base = 50_MiB;
constexpr Duration step = std::chrono::milliseconds{300};

struct Resting : testing::Test {
    Resting() { memory.read(later(), {base, base, true}); }
    // What is learned of one that rose so far while others always run.
    std::vector<RestingMemory::Correction> busy(Bytes highest, Bytes now, bool first = false) {
        const PeakReading reading{highest, now};
        const LearnedRise learned{heavy, 1, first, memory.rise(reading)};
        return memory.read(later(), reading, &learned);
    }
    Instant later() { return time += step; }
    Instant time{std::chrono::hours{1}};
    RestingMemory memory;
};

TEST(RestingMemory, what_came_before_the_first_reading_was_the_start) {
    RestingMemory memory;
    EXPECT_FALSE(memory.known());
    memory.read(Instant{}, {900_MiB, base});
    ASSERT_TRUE(memory.known());
    EXPECT_EQ(memory.rest(), base);
}

TEST_F(Resting, a_rise_is_measured_from_the_lowest_of_some_readings_most_of_which_were_taken_in_the_midst_of_it) {
    for (int i = 0; i < 7; ++i) EXPECT_EQ(memory.rise({base + 200_MiB, base + 150_MiB}), 200_MiB);
    EXPECT_TRUE(busy(base + 200_MiB, base + 150_MiB).empty());
    EXPECT_EQ(memory.rest(), base);
}

TEST_F(Resting, of_what_a_quiet_reading_shows_it_is_known_at_once_that_it_stays) {
    const PeakReading model{base + 430_MiB, base + 400_MiB, true};
    EXPECT_EQ(memory.rise(model), 430_MiB);
    EXPECT_EQ(memory.stayed(model), 400_MiB);
    memory.read(later(), model);
    EXPECT_EQ(memory.rise({base + 430_MiB, base + 400_MiB, true}), 30_MiB);
}

TEST_F(Resting, what_a_busy_reading_shows_may_be_in_use) {
    EXPECT_EQ(memory.stayed({base + 430_MiB, base + 400_MiB}), Bytes{});
}

TEST_F(Resting, where_others_always_run_it_is_put_right_once_the_rest_has_risen) {
    const Bytes model = base + 400_MiB;
    std::vector<RestingMemory::Correction> corrected = busy(model + 30_MiB, model + 10_MiB, true);
    EXPECT_TRUE(corrected.empty());
    for (int i = 0; i < 7; ++i) corrected = busy(model + 30_MiB, model + 5_MiB);
    ASSERT_TRUE(corrected.empty()) << "what was read before is of the while before this one";
    for (int i = 0; i < 8; ++i)
        if (auto more = busy(model + 30_MiB, model); !more.empty()) corrected = std::move(more);
    ASSERT_GE(corrected.size(), 8U);
    EXPECT_EQ(corrected[0].need, 30_MiB) << "the first one";
    EXPECT_EQ(corrected[0].at_first, 430_MiB) << "and the model it loaded";
    for (const auto& each : corrected) {
        EXPECT_EQ(each.learned.need, 430_MiB);
        EXPECT_EQ(each.need, 30_MiB);
    }
}

TEST_F(Resting, garbage_that_piles_up_until_it_is_collected_was_a_need_each_time) {
    busy(base + 200_MiB, base + 200_MiB);
    busy(base + 400_MiB, base + 400_MiB);
    const PeakReading quiet{base + 600_MiB, base + 600_MiB, true};
    const auto corrected = memory.read(later(), quiet);
    ASSERT_EQ(corrected.size(), 1U) << "the first was measured well";
    EXPECT_EQ(corrected[0].learned.need, 400_MiB);
    EXPECT_EQ(corrected[0].need, 200_MiB);
}

TEST_F(Resting, what_was_given_back_was_a_need) {
    busy(base + 200_MiB, base + 150_MiB, true);
    EXPECT_TRUE(memory.read(later(), {base + 10_MiB, base, true}).empty());
    EXPECT_TRUE(memory.read(later(), {base + 300_MiB, base + 300_MiB, true}).empty())
        << "and no later rise says otherwise";
}

} // namespace
} // namespace plimsoll
