#include "store/age_clock.hpp"

#include <gtest/gtest.h>

namespace plimsoll::store {
namespace {

using namespace std::chrono_literals;

const AgeClock::Steady start{100h};
const AgeClock::Wall today{490'000h};

TEST(age_clock, is_believed_when_both_clocks_have_gone_alike_for_long_enough) {
    AgeClock clock(1h);
    EXPECT_FALSE(clock.believed(start, today)) << "nobody knows yet whether it is right";
    EXPECT_FALSE(clock.believed(start + 59min, today + 59min));
    EXPECT_TRUE(clock.believed(start + 1h, today + 1h));
    EXPECT_TRUE(clock.believed(start + 200h, today + 200h + 4min)) << "it was set right by a little";
}

TEST(age_clock, that_jumped_ahead_has_to_go_alike_again) {
    AgeClock clock(1h);
    clock.believed(start, today);
    EXPECT_TRUE(clock.believed(start + 2h, today + 2h));
    EXPECT_FALSE(clock.believed(start + 3h, today + 90'000h));
    EXPECT_FALSE(clock.believed(start + 3h + 59min, today + 90'000h + 59min));
    EXPECT_TRUE(clock.believed(start + 4h, today + 90'001h)) << "it is what people live with";
}

TEST(age_clock, that_went_back_makes_nothing_older) {
    AgeClock clock(1h);
    clock.believed(start, today);
    EXPECT_TRUE(clock.believed(start + 2h, today - 90'000h));
    EXPECT_FALSE(clock.believed(start + 3h, today + 3h)) << "the way forth is a jump again";
}

} // namespace
} // namespace plimsoll::store
