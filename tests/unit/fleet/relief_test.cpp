#include "plimsoll/fleet/relief.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace plimsoll {
namespace {

using namespace std::chrono_literals;

constexpr Instant now{50h};
constexpr Relief::Full own{.own = true, .line = 0.85};
constexpr Relief::Full shared{.limit = 1200_MiB, .line = 0.85};

Relief::Worker worker(WorkerKey place, Bytes used, Bytes floor) {
    Relief::Worker worker;
    worker.place = place;
    worker.recyclable = true;
    worker.used = used;
    worker.floor = floor;
    worker.limit = 300_MiB;
    return worker;
}

TEST(Relief, who_has_gathered_most_goes_first) {
    const std::vector<Relief::Worker> workers = {worker(1, 270_MiB, 200_MiB), worker(2, 265_MiB, 90_MiB),
                                                 worker(3, 290_MiB, 220_MiB)};
    EXPECT_EQ(Relief::choose(now, workers, own).recycle, WorkerKey{2});
    EXPECT_EQ(Relief::choose(now, workers, shared).recycle, WorkerKey{2});
}

TEST(Relief, who_holds_what_it_began_with_is_let_alone_and_that_is_said) {
    const std::vector<Relief::Worker> workers = {worker(1, 270_MiB, 250_MiB), worker(2, 265_MiB, 260_MiB)};
    const auto verdict = Relief::choose(now, workers, own);
    EXPECT_FALSE(verdict.recycle);
    EXPECT_NE(verdict.why_not, "");
}

TEST(Relief, of_its_own_limit_a_recycle_helps_only_where_it_ends_below_the_line) {
    const std::vector<Relief::Worker> workers = {worker(1, 310_MiB, 240_MiB)}; // the line is at 255
    EXPECT_FALSE(Relief::choose(now, workers, own).recycle);
    EXPECT_EQ(Relief::choose(now, workers, shared).recycle, WorkerKey{1}) << "of a shared one each MiB helps";
}

TEST(Relief, where_another_limit_of_its_own_is_near_nobody_knows_what_a_recycle_would_win) {
    const std::vector<Relief::Worker> workers = {worker(1, 100_MiB, 20_MiB)}; // its address space, say
    const auto verdict = Relief::choose(now, workers, own);
    EXPECT_FALSE(verdict.recycle);
    EXPECT_NE(verdict.why_not.find("clearly below the line"), std::string_view::npos) << verdict.why_not;
}

TEST(Relief, where_somebody_else_fills_what_is_shared_no_worker_is_recycled_for_it) {
    std::vector<Relief::Worker> workers;
    for (WorkerKey key = 1; key <= 4; ++key) workers.push_back(worker(key, 30_MiB, 20_MiB)); // 40 of 1,200
    const auto verdict = Relief::choose(now, workers, shared);
    EXPECT_FALSE(verdict.recycle);
    EXPECT_NE(verdict.why_not, "");
    for (Relief::Worker& each : workers) each.limit = 50_MiB; // a setting says nothing of what is full
    EXPECT_FALSE(Relief::choose(now, workers, shared).recycle);
    workers.push_back(worker(5, 100_MiB, 20_MiB));
    EXPECT_EQ(Relief::choose(now, workers, shared).recycle, WorkerKey{5});
}

TEST(Relief, where_the_limit_is_not_known_for_a_moment_nobody_is_recycled) {
    const std::vector<Relief::Worker> workers = {worker(1, 270_MiB, 90_MiB)};
    Relief::Full full = shared;
    full.limit = {};
    EXPECT_FALSE(Relief::choose(now, workers, full).recycle);
    EXPECT_EQ(Relief::choose(now, workers, full).why_not, "");
}

TEST(Relief, the_next_one_waits_until_it_is_known_what_came_of_the_last) {
    const std::vector<Relief::Worker> workers = {worker(1, 90_MiB, 80_MiB), worker(2, 265_MiB, 90_MiB)};
    Relief::Full full = own;
    full.last = now - 29s;
    EXPECT_FALSE(Relief::choose(now, workers, full).recycle);
    EXPECT_EQ(Relief::choose(now, workers, full).why_not, "") << "it is too early to say";
    full.last = now - 30s;
    EXPECT_EQ(Relief::choose(now, workers, full).recycle, WorkerKey{2});
}

TEST(Relief, what_is_back_within_the_hour_is_not_recycled_again) {
    std::vector<Relief::Worker> workers = {worker(1, 270_MiB, 90_MiB)};
    workers[0].past.ended = now - 59min;
    const auto verdict = Relief::choose(now, workers, own);
    EXPECT_FALSE(verdict.recycle);
    EXPECT_NE(verdict.why_not, "");
    workers[0].past.ended = now - 60min;
    EXPECT_EQ(Relief::choose(now, workers, own).recycle, WorkerKey{1});
}

TEST(Relief, what_is_due_again_at_once_rests_twice_as_long_each_time_up_to_a_day) {
    Relief::Past past = Relief::Past{}.again(now);
    EXPECT_EQ(past.ended, now);
    EXPECT_EQ(past.rest, 1h);
    Instant at = now;
    for (const Duration rest : {2h, 4h, 8h, 16h, 24h, 24h}) {
        at += past.rest + 10min;
        past = past.again(at);
        EXPECT_EQ(past.rest, rest);
    }
    EXPECT_EQ(past.again(at + 49h).rest, 1h) << "it was well for as long again";
}

TEST(Relief, what_is_not_known_yet_or_about_to_happen_is_waited_for) {
    for (const auto what : {0, 1, 2, 3}) {
        std::vector<Relief::Worker> workers = {worker(1, 270_MiB, 90_MiB)};
        if (what == 0) workers[0].used.reset();
        if (what == 1) workers[0].floor.reset();
        if (what == 2) workers[0].limit.reset();
        if (what == 3) workers[0].busy = true;
        const auto verdict = Relief::choose(now, workers, own);
        EXPECT_FALSE(verdict.recycle) << what;
        EXPECT_EQ(verdict.why_not, "") << what;
    }
}

TEST(Relief, where_nobody_can_be_recycled_that_is_said) {
    std::vector<Relief::Worker> workers = {worker(1, 270_MiB, 90_MiB)};
    workers[0].recyclable = false;
    const auto verdict = Relief::choose(now, workers, own);
    EXPECT_FALSE(verdict.recycle);
    EXPECT_NE(verdict.why_not.find("nothing here can recycle"), std::string_view::npos);
    EXPECT_FALSE(Relief::choose(now, {}, own).recycle);
}

TEST(LowWater, is_the_least_of_the_last_quarter_to_half_minute) {
    LowWater water;
    water.see(now, 300_MiB);
    EXPECT_FALSE(water.least());
    water.see(now + 5s, 100_MiB); // a request has ended
    water.see(now + 10s, 300_MiB);
    EXPECT_FALSE(water.least()) << "not watched for long enough";
    water.see(now + 15s, 280_MiB);
    EXPECT_EQ(water.least(), 100_MiB);
    water.see(now + 29s, 300_MiB);
    EXPECT_EQ(water.least(), 100_MiB);
    water.see(now + 30s, 290_MiB);
    EXPECT_EQ(water.least(), 280_MiB);
    water.see(now + 6min, 50_MiB);
    water.see(now + 11min, 60_MiB);
    EXPECT_EQ(water.least(), 50_MiB) << "readings that come every five minutes";
    water.see(now + 30min, 40_MiB);
    EXPECT_FALSE(water.least()) << "what was seen before the gap is too old";
}

} // namespace
} // namespace plimsoll
