#include <algorithm>
#include <atomic>

#include <gtest/gtest.h>

#include "tests/fleet/stage.hpp"

namespace plimsoll::fleet {
namespace {

TEST(GateWatch, a_fleet_watches_the_gates_of_its_pools) {
    Stage stage;
    stage.pool().source.kind = config::SourceKind::command;
    stage.pool().source.command = Stage::python("app.py", {"--socket", "{socket}"});
    stage.pool().source.workers = 1;
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1));
    stage.net->set_ailing(stage.net->stats().workers.front().worker, true);
    EXPECT_TRUE(stage.until([&] {
        return std::ranges::any_of(stage.published, [](const auto& each) {
            return each.first == "gate" && each.second.at("what") == "health_panic";
        });
    }));
}

struct WhoWaits : net::Waiter {
    void wake(net::Permit, Reason, Duration) override { told = true; }
    std::atomic<bool> told = false;
};

// Nobody comes after him, and no reactor looks at its queue.
TEST(GateWatch, who_waits_in_a_pool_that_nobody_asks_any_more_is_told_when_his_time_is_over) {
    Stage stage;
    stage.pool().source.kind = config::SourceKind::command;
    stage.pool().source.command = Stage::python("app.py", {"--socket", "{socket}"});
    stage.pool().source.workers = 1;
    stage.pool().source.slots = 1;
    stage.pool().queue.timeout = std::chrono::milliseconds{100};
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1));
    WhoWaits first, second;
    const auto served = stage.net->arrive(Clock::now(), {}, first);
    ASSERT_TRUE(served.permit);
    const auto waits = stage.net->arrive(Clock::now(), {}, second);
    ASSERT_NE(waits.ticket, 0U);
    EXPECT_TRUE(stage.until([&] { return second.told.load(); }));
}

} // namespace
} // namespace plimsoll::fleet
