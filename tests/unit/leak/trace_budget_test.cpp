#include "plimsoll/leak/trace_budget.hpp"

#include <gtest/gtest.h>

namespace plimsoll::leak {
namespace {

using namespace std::chrono_literals;

TEST(TraceBudget, a_first_window_that_told_nothing_is_followed_by_a_second_and_a_third_within_a_minute) {
    TraceBudget budget;
    Instant now{1h};
    const Instant accused = now;
    int windows = 0;
    while (now < accused + 60s) {
        if (!budget.may_begin(now, 2, 3s)) {
            now += 100ms;
            continue;
        }
        ++windows;
        now += 2s;
        budget.spend(now, 2, 2s, true);
    }
    EXPECT_GE(windows, 3);
}

TEST(TraceBudget, no_hour_has_more_than_its_share_of_tracing_however_often_a_line_is_looked_for) {
    for (const std::size_t workers : {std::size_t{1}, std::size_t{4}}) {
        TraceBudget budget;
        std::vector<std::pair<Instant, Duration>> windows;
        for (Instant now{1h}; now < Instant{10h}; now += 1s) {
            if (!budget.may_begin(now, workers, 3s)) continue;
            const Duration cost = std::min<Duration>(30s, budget.left(now, workers));
            budget.spend(now, workers, cost, false);
            windows.emplace_back(now, cost);
        }
        for (const auto& [from, cost] : windows) {
            Duration traced{};
            for (const auto& [at, length] : windows)
                if (at >= from && at < from + 1h) traced += length;
            EXPECT_LE(traced, 36s * workers);
        }
    }
}

TEST(TraceBudget, windows_that_tell_nothing_come_ever_more_seldom_and_another_leak_begins_anew) {
    TraceBudget budget;
    const auto wait_after_a_window = [&](Instant from) {
        budget.spend(from, 64, 1s, true);
        Instant now = from;
        while (!budget.may_begin(now, 64, 3s)) now += 1s;
        return now - from;
    };
    EXPECT_EQ(wait_after_a_window(Instant{1h}), 10s);
    EXPECT_EQ(wait_after_a_window(Instant{2h}), 20s);
    EXPECT_EQ(wait_after_a_window(Instant{3h}), 40s);
    for (int i = 0; i < 20; ++i) budget.spend(Instant{4h}, 64, 1s, true);
    EXPECT_EQ(wait_after_a_window(Instant{8h}), 1h);
    budget.forget_failures();
    EXPECT_EQ(wait_after_a_window(Instant{10h}), 10s);
}

} // namespace
} // namespace plimsoll::leak
