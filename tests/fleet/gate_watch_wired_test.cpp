#include <algorithm>

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

} // namespace
} // namespace plimsoll::fleet
