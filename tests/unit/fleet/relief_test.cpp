#include "plimsoll/fleet/relief.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace plimsoll {
namespace {

using namespace std::chrono_literals;

constexpr Instant now{5h};
constexpr double line = 0.85;
constexpr bool own = true, shared = false;

Relief::Worker worker(WorkerKey place, Bytes used, Bytes floor) {
    Relief::Worker worker;
    worker.place = place;
    worker.used = used;
    worker.floor = floor;
    worker.limit = 300_MiB;
    worker.serves = true;
    return worker;
}

TEST(Relief, who_has_gathered_most_goes_first) {
    const std::vector<Relief::Worker> workers = {worker(1, 270_MiB, 200_MiB), worker(2, 265_MiB, 90_MiB),
                                                 worker(3, 290_MiB, 220_MiB)};
    EXPECT_EQ(Relief::choose(now, workers, line, own).recycle, WorkerKey{2});
    EXPECT_EQ(Relief::choose(now, workers, line, shared).recycle, WorkerKey{2});
}

TEST(Relief, who_holds_what_it_began_with_is_let_alone_and_that_is_said) {
    const std::vector<Relief::Worker> workers = {worker(1, 270_MiB, 250_MiB), worker(2, 265_MiB, 260_MiB)};
    const auto verdict = Relief::choose(now, workers, line, own);
    EXPECT_FALSE(verdict.recycle);
    EXPECT_NE(verdict.why_not, "");
}

TEST(Relief, of_its_own_limit_a_recycle_helps_only_where_it_ends_below_the_line) {
    const std::vector<Relief::Worker> workers = {worker(1, 290_MiB, 240_MiB)}; // the line is at 255
    EXPECT_FALSE(Relief::choose(now, workers, line, own).recycle);
    EXPECT_EQ(Relief::choose(now, workers, line, shared).recycle, WorkerKey{1}) << "of a shared one each MiB helps";
}

TEST(Relief, where_somebody_else_fills_the_cgroup_no_worker_is_recycled_for_it) {
    std::vector<Relief::Worker> workers;
    for (WorkerKey key = 1; key <= 4; ++key) workers.push_back(worker(key, 30_MiB, 20_MiB)); // 40 of 1,200
    const auto verdict = Relief::choose(now, workers, line, shared);
    EXPECT_FALSE(verdict.recycle);
    EXPECT_NE(verdict.why_not, "");
    workers.push_back(worker(5, 100_MiB, 20_MiB)); // 120 of 1,500
    EXPECT_EQ(Relief::choose(now, workers, line, shared).recycle, WorkerKey{5});
}

TEST(Relief, the_next_one_waits_until_it_is_known_what_came_of_the_last) {
    std::vector<Relief::Worker> workers = {worker(1, 90_MiB, 80_MiB), worker(2, 265_MiB, 90_MiB)};
    workers[0].relieved = now - 29s;
    EXPECT_FALSE(Relief::choose(now, workers, line, own).recycle);
    EXPECT_EQ(Relief::choose(now, workers, line, own).why_not, "") << "it is too early to say";
    workers[0].relieved = now - 30s;
    EXPECT_EQ(Relief::choose(now, workers, line, own).recycle, WorkerKey{2});
}

TEST(Relief, what_is_back_within_the_hour_is_not_recycled_again) {
    std::vector<Relief::Worker> workers = {worker(1, 270_MiB, 90_MiB)};
    workers[0].relieved = now - 59min;
    const auto verdict = Relief::choose(now, workers, line, own);
    EXPECT_FALSE(verdict.recycle);
    EXPECT_NE(verdict.why_not, "");
    workers[0].relieved = now - 60min;
    EXPECT_EQ(Relief::choose(now, workers, line, own).recycle, WorkerKey{1});
}

TEST(Relief, what_is_not_known_is_waited_for) {
    for (const auto forget : {0, 1, 2, 3}) {
        std::vector<Relief::Worker> workers = {worker(1, 270_MiB, 90_MiB)};
        if (forget == 0) workers[0].used.reset();
        if (forget == 1) workers[0].floor.reset();
        if (forget == 2) workers[0].limit.reset();
        if (forget == 3) workers[0].serves = false;
        const auto verdict = Relief::choose(now, workers, line, own);
        EXPECT_FALSE(verdict.recycle) << forget;
        EXPECT_EQ(verdict.why_not.empty(), forget != 3) << forget;
    }
    EXPECT_FALSE(Relief::choose(now, {}, line, own).recycle);
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
}

} // namespace
} // namespace plimsoll
