// What becomes of a worker whose health check hangs. The others are in tests/e2e/test_health.py.
#include "fleet/health_watch.hpp"

#include <fstream>

#include <gtest/gtest.h>

#include "tests/fleet/stage.hpp"
#include "tests/fleet/stranger.hpp"

namespace plimsoll::fleet {
namespace {

using namespace std::chrono_literals;

class HangingCheck : public testing::Test {
protected:
    HangingCheck() {
        stage.pool().source.kind = config::SourceKind::static_addresses;
        stage.pool().source.addresses = {"unix:" + at("a.sock")};
        stage.pool().source.slots = 1;
        config::Health& health = stage.pool().health;
        health.path = "/health";
        health.interval = 50ms;
        health.timeout = 200ms;
        health.fall = 2;
    }
    std::string at(const std::string& name) const { return (stage.directory / name).string(); }
    void hang(const std::string& seconds) const {
        std::ofstream(at("hang.new")) << seconds;
        std::filesystem::rename(at("hang.new"), at("hang"));
    }
    void recover() const { std::filesystem::remove(at("hang")); } // from the next check on
    // It serves, and then its first check was judged unanswered: it is busy with it still.
    void begin(const std::string& seconds) {
        ASSERT_EQ(stage.start(), "");
        ASSERT_TRUE(stage.serving(static_cast<unsigned>(stage.pool().source.addresses.size())));
        hang(seconds);
        ASSERT_TRUE(stage.until([&] { return stage.view().checks_failed >= 1; }));
    }

    Stage stage;
};

TEST_F(HangingCheck, keeps_its_slot_until_the_worker_answers) {
    const Stranger worker(stage, "app.py", {"--socket", at("a.sock")});
    begin("2");
    recover();
    const Instant judged = Clock::now();
    const auto skipped = stage.view().checks_skipped;
    EXPECT_FALSE(stage.admits()) << "a request would lie in the worker's backlog";
    EXPECT_EQ(stage.view().workers[0].health->last, "no answer in 200 ms");
    ASSERT_TRUE(stage.until([&] { return stage.admits(); }));
    EXPECT_GT(Clock::now() - judged, 500ms) << "the worker answered two seconds after it was asked";
    EXPECT_GE(stage.view().checks_failed, 4U) << "every interval and timeout of silence is an unanswered check more";
    EXPECT_LE(stage.view().checks_failed, 10U);
    EXPECT_EQ(stage.view().checks_skipped, skipped) << "and no other began";
    EXPECT_FALSE(stage.ask("/").empty());
}

TEST_F(HangingCheck, fails_again_when_it_hangs_again_and_the_worker_falls) {
    const Stranger worker(stage, "app.py", {"--socket", at("a.sock")});
    begin("0.5");
    ASSERT_TRUE(stage.until([&] { return !stage.view().workers[0].health->healthy; }));
    EXPECT_GE(stage.view().checks_failed, 2U);
    recover();
    EXPECT_TRUE(stage.until([&] { return stage.view().workers[0].health->healthy; })) << "and rises again";
}

// Of a worker with several slots: the others go on being filled while its checks hang.
TEST_F(HangingCheck, takes_its_worker_out_of_service_while_it_hangs) {
    stage.pool().source.slots = 4;
    stage.pool().source.addresses.push_back("unix:" + at("b.sock"));
    const Stranger worker(stage, "app.py", {"--socket", at("a.sock")});
    const Stranger other(stage, "app.py", {"--socket", at("b.sock")});
    begin("20");
    for (const std::size_t each : {0U, 1U})
        EXPECT_TRUE(stage.until([&] { return !stage.view().workers[each].health->healthy; })) << each;
}

TEST_F(HangingCheck, what_was_served_beside_it_takes_nothing_back) {
    stage.pool().source.slots = 2;
    stage.pool().health.interval = 300ms;
    const Stranger worker(stage, "app.py", {"--socket", at("a.sock")});
    begin("0.5");
    const WorkerKey key = stage.net->stats().workers.at(0).worker;
    EXPECT_FALSE(stage.ask("/").empty());
    ASSERT_EQ(stage.net->successes(key), 1U);
    // Both slots are taken when it would be asked next.
    struct Nobody final : net::Waiter {
        void wake(net::Permit, Reason, Duration) override {}
    } nobody;
    net::Permit first, second;
    ASSERT_TRUE(stage.until([&] {
        if (!first) first = stage.net->arrive(Clock::now(), {}, nobody).permit;
        auto arrival = stage.net->arrive(Clock::now(), {}, nobody);
        if (arrival.ticket != 0) stage.net->leave(Clock::now(), arrival.ticket);
        second = std::move(arrival.permit);
        return static_cast<bool>(second);
    }));
    ASSERT_TRUE(stage.until([&] { return stage.view().checks_skipped > 0; }));
    EXPECT_EQ(stage.view().workers[0].health->row, 1U) << "the unanswered check stands";
}

TEST_F(HangingCheck, keeps_its_slot_no_longer_than_a_request_would) {
    stage.pool().upstream.response_timeout = 300ms;
    const Stranger worker(stage, "app.py", {"--socket", at("a.sock")});
    begin("8");
    const Instant judged = Clock::now();
    EXPECT_FALSE(stage.admits());
    ASSERT_TRUE(stage.until([&] { return stage.admits(); }));
    EXPECT_LT(Clock::now() - judged, 4s);
}

TEST_F(HangingCheck, gives_its_slot_back_at_once_where_slots_are_learned) {
    stage.pool().source.slots = 0;
    const Stranger worker(stage, "app.py", {"--socket", at("a.sock")});
    begin("8");
    EXPECT_EQ(stage.net->stats().workers.at(0).in_flight, 0U);
}

TEST_F(HangingCheck, does_not_hold_a_recycle) {
    stage.pool().source.addresses.push_back("unix:" + at("b.sock"));
    stage.pool().health.fall = 100;
    const std::vector<std::string> more = {"--agent", "--supervised", "--socket"};
    const auto with = [&](const std::string& socket) {
        auto arguments = more;
        arguments.push_back(at(socket));
        return arguments;
    };
    const Stranger a(stage, "app.py", with("a.sock")), b(stage, "app.py", with("b.sock"));
    begin("20");
    ASSERT_TRUE(stage.until([&] { return stage.view().checks_failed >= 2; })) << "both hang";
    ASSERT_TRUE(stage.until([&] { return stage.worker("app-1").agent.connected; }));
    ASSERT_EQ(stage.fleet->recycle("app", "app-1", "").status, 202);
    recover();
    const auto incident = stage.incident("operator");
    ASSERT_TRUE(incident);
    const auto told = boost::json::parse(incident->details).at("recycle");
    EXPECT_EQ(told.at("outcome").as_string(), "done") << Stage::story(*incident);
    EXPECT_LT(told.at("drained_ms").to_number<int>(), 2000) << Stage::story(*incident);
    EXPECT_EQ(told.at("lost").to_number<int>(), 0) << "it was nobody's request";
}

} // namespace
} // namespace plimsoll::fleet
