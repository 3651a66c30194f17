#include "sim/leak_sim.hpp"

#include <cstdlib>

#include <gtest/gtest.h>

namespace plimsoll::sim {
namespace {

// PLIMSOLL_LEAK_SEED and PLIMSOLL_LEAK_LIVES ask the same of other applications, and of more. The bounds are those of the
// whole population; a sample may lie beyond them by chance, so a test fails where its 95 % interval excludes the bound.
std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text ? std::strtoull(text, nullptr, 10) : otherwise;
}
const std::uint64_t seed = from_environment("PLIMSOLL_LEAK_SEED", 1);
const auto lives = static_cast<unsigned>(from_environment("PLIMSOLL_LEAK_LIVES", 6));

TEST(LeakSim, with_an_earlier_process_known_leaks_are_found_early_and_innocents_are_left_alone) {
    const Tally found = tally(seed, lives, true);
    SCOPED_TRACE(table(found));
    EXPECT_LE(found.alarms().low(), 0.02);
    for (const auto& row : found.innocent) {
        if (row.family != Family::slow_lru) {
            EXPECT_LE(row.alarms.low(), 0.05) << to_string(row.family);
        }
        EXPECT_GE(row.class_right.high(), 0.95) << to_string(row.family);
    }
    const auto& all = found.leaks.back();
    EXPECT_GE(all.before_half.high(), 0.98);
    EXPECT_GE(all.sure.high(), 0.98);
    EXPECT_GE(all.in_5000.high(), 0.95);
}

TEST(LeakSim, the_first_process_ever_is_suspected_early_but_accused_only_when_sure) {
    const Tally found = tally(seed, lives, false);
    SCOPED_TRACE(table(found));
    EXPECT_LE(found.alarms().low(), 0.02);
    for (const auto& row : found.innocent) {
        if (row.family == Family::slow_lru) continue;
        EXPECT_LE(row.alarms.low(), 0.05) << to_string(row.family);
    }
    const auto& all = found.leaks.back();
    EXPECT_GE(all.before_half.high(), 0.98);
    EXPECT_GE(all.sure.high(), 0.98);
}

// Those of less than 512 B a request need tens of thousands of requests to be told from what else grows.
TEST(LeakSim, a_leak_that_begins_late_in_a_life_is_found_before_half_is_gone) {
    for (const bool warm : {false, true}) {
        const auto found = late_leaks(seed, lives, warm);
        SCOPED_TRACE(table(found));
        Rate before_half, sure;
        for (std::size_t i = 1; i < found.size(); ++i) {
            before_half.k += found[i].before_half.k;
            before_half.n += found[i].before_half.n;
            sure.k += found[i].sure.k;
            sure.n += found[i].sure.n;
        }
        EXPECT_GE(before_half.high(), 0.95);
        EXPECT_GE(sure.high(), 0.98);
    }
}

TEST(LeakSim, a_release_that_brings_a_leak_is_suspected_early_whatever_the_one_before_kept) {
    const auto found = new_leaks(seed, 3 * lives);
    SCOPED_TRACE(table({found}));
    EXPECT_GE(found.in_5000.high(), 0.9);
    EXPECT_GE(found.before_half.high(), 0.98);
    EXPECT_GE(found.sure.high(), 0.98);
}

TEST(LeakSim, more_traffic_than_ever_is_no_leak) {
    for (const double times : {1.4, 1.7, 2.0}) {
        const auto found = busier(seed, lives, times);
        EXPECT_LE(found.alarms.low(), 0.02) << times << ": " << found.alarms.k << " of " << found.alarms.n;
    }
}

TEST(LeakSim, the_slope_of_a_plain_leak_is_exact) {
    App app = draw_app(Family::leak, 7);
    app.background = Family::steady;
    app.leak = 4096;
    app.hit_share = 0.1;
    app.rate = 20;
    app.headroom = 300 << 20;
    app.length = 24 * 3600;
    leak::History history;
    const Life life = live(app, 7, history);
    EXPECT_TRUE(life.accused);
    EXPECT_LT(life.slope_error, 0.05);
}

// Near the end of a leak of ten hours looks are twenty minutes apart, and a recycle needs less than two. What swings is
// killed at its highest moment: by a tooth, at noon, by a heavy request.
TEST(LeakSim, leaks_are_recycled_before_anything_that_swings_on_top_is_at_the_limit) {
    const RecycleTally found = recycles(seed, lives);
    SCOPED_TRACE(table(found));
    EXPECT_GE(found.all().in_time.high(), 0.95);
    for (const auto& row : found.rows) EXPECT_GE(row.in_time.high(), 0.9) << to_string(row.background);
}

TEST(LeakSim, who_swings_and_does_not_leak_is_not_recycled) {
    Rate recycled;
    for (const Family family : {Family::sawtooth, Family::diurnal, Family::sessions})
        for (unsigned i = 0; i < lives; ++i) {
            App app = draw_app(family, seed * 1'000'003 + i);
            app.lead = 100;
            leak::History history;
            recycled.n += 1;
            recycled.k += live(app, i, history).recycled ? 1 : 0;
        }
    EXPECT_LE(recycled.low(), 0.02) << recycled.k << " of " << recycled.n;
}

// Lives in which the end of the trend lies far above what was ever used.
TEST(LeakSim, a_sawtooth_is_no_higher_than_its_teeth) {
    for (const std::uint64_t i : {4, 10, 17, 59, 93}) {
        const std::uint64_t own = 4242 * 1'000'003ULL + i;
        leak::History history;
        EXPECT_FALSE(live(draw_app(Family::sawtooth, own), own * 2 + 1, history).accused) << i;
    }
}

} // namespace
} // namespace plimsoll::sim
