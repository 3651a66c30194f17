#include <algorithm>
#include <csignal>
#include <fstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "fleet/environment.hpp"
#include "fleet/fd.hpp"
#include "log/log.hpp"
#include "sense/memory.hpp"
#include "tests/fleet/stage.hpp"
#include "tests/fleet/stranger.hpp"

namespace plimsoll::fleet {
namespace {

using namespace std::chrono_literals;

std::string at(Stage& stage, const std::string& name) { return (stage.directory / name).string(); }

void two_addresses(Stage& stage) {
    stage.pool().source.kind = config::SourceKind::static_addresses;
    stage.pool().source.addresses = {"unix:" + at(stage, "a.sock"), "unix:" + at(stage, "b.sock")};
}

TEST(StaticSource, a_server_that_is_not_there_yet_serves_once_it_answers) {
    Stage stage;
    two_addresses(stage);
    ASSERT_EQ(stage.start(), "");
    Stranger a(stage, "app.py", {"--socket", at(stage, "a.sock")});
    ASSERT_TRUE(stage.serving(1));
    EXPECT_FALSE(stage.ask("/").empty());
    EXPECT_EQ(stage.worker("app-2").state, "warming");
    Stranger b(stage, "app.py", {"--socket", at(stage, "b.sock")});
    ASSERT_TRUE(stage.serving(2));
}

// What is not there, and what answers but not as it must: the last probe has the word, long before ready_timeout.
TEST(StaticSource, why_a_worker_is_not_ready_is_told_at_once_and_in_the_log_once_it_lasts) {
    Stage stage;
    two_addresses(stage);
    stage.pool().health.expect = {"204"};
    config::Log log;
    log.file = at(stage, "log");
    ASSERT_EQ(log::start(log), "");
    Stranger a(stage, "app.py", {"--socket", at(stage, "a.sock")});
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.until([&] {
        return stage.worker("app-1").advice == "answered 200, and 204 is expected" &&
               stage.worker("app-2").advice.find("does not exist") != std::string::npos;
    })) << stage.worker("app-1").advice
        << stage.worker("app-2").advice;
    EXPECT_EQ(stage.worker("app-1").state, "warming");
    EXPECT_FALSE(stage.view().alert) << "a server that is late is no alarm yet";
    const auto lines = [&](const std::string& words) {
        std::ifstream file(log.file);
        std::string line;
        unsigned count = 0;
        while (std::getline(file, line)) count += line.find(words) != std::string::npos ? 1 : 0;
        return count;
    };
    ASSERT_TRUE(stage.until([&] { return lines("answered 200") >= 2 && lines("does not exist") >= 2; }));
    EXPECT_LE(lines("worker_not_ready"), 6U) << "of each a second after its first probe, and then two later";
    log::stop();
}

TEST(StaticSource, a_worker_that_gets_ready_takes_its_own_reason_back_and_hides_no_alert_of_another) {
    Stage stage;
    two_addresses(stage);
    stage.pool().recycle.ready_timeout = 500ms;
    ASSERT_EQ(stage.start(), "");
    const auto alert_names = [&](const char* worker) {
        const auto alert = stage.view().alert;
        return alert && alert->find(worker) != std::string::npos;
    };
    ASSERT_TRUE(stage.until([&] { return alert_names("app-1 is not ready") && alert_names("app-2 is not ready"); }));
    Stranger a(stage, "app.py", {"--socket", at(stage, "a.sock")});
    ASSERT_TRUE(stage.serving(1));
    EXPECT_EQ(stage.worker("app-1").advice, "");
    EXPECT_NE(stage.worker("app-2").advice, "");
    EXPECT_TRUE(alert_names("app-2 is not ready")) << "the other's readiness mends nothing here";
    EXPECT_FALSE(alert_names("app-1"));
    const auto told = std::find_if(stage.published.rbegin(), stage.published.rend(),
                                   [](const auto& event) { return event.first == "alert"; });
    ASSERT_NE(told, stage.published.rend());
    EXPECT_NE(std::string(told->second.at("alert").as_string()).find("app-2"), std::string::npos);
    Stranger b(stage, "app.py", {"--socket", at(stage, "b.sock")});
    ASSERT_TRUE(stage.serving(2));
    EXPECT_FALSE(stage.view().alert) << *stage.view().alert;
}

TEST(StaticSource, a_pool_that_no_route_leads_to_any_more_is_not_waited_for) {
    Stage stage;
    two_addresses(stage);
    ASSERT_EQ(stage.start(), "");
    EXPECT_TRUE(stage.view().routed);
    EXPECT_FALSE(stage.fleet->ready());
    config::Config next = stage.config;
    next.routes.front().pool.clear(); // an answer of its own, say
    stage.fleet->apply(next);
    EXPECT_FALSE(stage.view().routed);
    EXPECT_TRUE(stage.fleet->ready());
}

TEST(StaticSource, without_an_agent_the_sockets_peer_tells_the_pid_and_its_memory_is_watched) {
    Stage stage;
    two_addresses(stage);
    Stranger a(stage, "app.py", {"--socket", at(stage, "a.sock")});
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1));
    EXPECT_EQ(stage.worker("app-1").pid, a.pid());
    EXPECT_TRUE(stage.until([&] { return stage.worker("app-1").memory.anon.has_value(); }));
    a.end(SIGKILL);
    ASSERT_TRUE(stage.until([&] { return stage.net->stats().workers.empty(); }));
    ASSERT_TRUE(stage.until([&] { return stage.worker("app-1").generation == 2; })) << "its next process is awaited";
}

TEST(StaticSource, without_an_agent_a_recycle_is_refused_with_the_reason) {
    Stage stage;
    two_addresses(stage);
    Stranger a(stage, "app.py", {"--socket", at(stage, "a.sock")}),
        b(stage, "app.py", {"--socket", at(stage, "b.sock")});
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    const ActionResult refused = stage.fleet->recycle("app", "app-1", "");
    EXPECT_EQ(refused.status, 409);
    EXPECT_NE(refused.reason.find("no agent"), std::string::npos) << refused.reason;
    EXPECT_TRUE(alive(a.pid()));
}

TEST(StaticSource, an_agent_ends_its_own_server_and_its_supervisor_starts_the_next) {
    Stage stage;
    two_addresses(stage);
    Stranger a(stage, "app.py", {"--socket", at(stage, "a.sock"), "--agent", "--supervised"});
    Stranger b(stage, "app.py", {"--socket", at(stage, "b.sock"), "--agent", "--supervised"});
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.until([&] {
        const PoolView view = stage.view();
        return view.serving == 2 && view.workers[0].agent.connected && view.workers[1].agent.connected;
    }));
    Clients clients(stage.net, 3);
    const int before = *stage.worker("app-2").pid;
    ASSERT_EQ(stage.fleet->recycle("app", "app-2", "").status, 202);
    const auto incident = stage.incident("operator");
    clients.stop();
    ASSERT_TRUE(incident);
    EXPECT_NE(incident->details.find("\"outcome\":\"done\""), std::string::npos) << Stage::story(*incident);
    EXPECT_EQ(stage.worker("app-2").generation, 2U);
    EXPECT_NE(stage.worker("app-2").pid, before);
    EXPECT_EQ(clients.failed(), 0U);
}

TEST(StaticSource, a_stuck_worker_writes_its_stacks_at_the_signal_that_its_agent_names_before_it_is_aborted) {
    Stage stage;
    two_addresses(stage);
    stage.pool().recycle.ready_timeout = 1s;
    stage.pool().recycle.end_timeout = 300ms;
    Stranger a(stage, "app.py",
               {"--socket", at(stage, "a.sock"), "--agent", "--ignore-term", "--stacks", at(stage, "")});
    Stranger b(stage, "app.py", {"--socket", at(stage, "b.sock"), "--agent", "--ignore-term"});
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.until([&] {
        const PoolView view = stage.view();
        return view.serving == 2 && view.workers[0].agent.connected && view.workers[1].agent.connected;
    }));
    ASSERT_EQ(stage.fleet->recycle("app", "app-1", "").status, 202);
    const auto incident = stage.incident("operator");
    ASSERT_TRUE(incident);
    EXPECT_NE(Stage::story(*incident).find("stacks-end.txt"), std::string::npos) << Stage::story(*incident);
}

TEST(StaticSource, a_recycle_that_nobody_follows_halts_the_pool) {
    Stage stage;
    two_addresses(stage);
    stage.pool().recycle.ready_timeout = 1s;
    Stranger a(stage, "app.py", {"--socket", at(stage, "a.sock"), "--agent"}),
        b(stage, "app.py", {"--socket", at(stage, "b.sock"), "--agent"});
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.until([&] { return stage.view().serving == 2 && stage.worker("app-1").agent.connected; }));
    ASSERT_EQ(stage.fleet->recycle("app", "app-1", "").status, 202);
    const auto incident = stage.incident("operator");
    ASSERT_TRUE(incident);
    EXPECT_NE(incident->verdict.find("no successor became ready"), std::string::npos) << incident->verdict;
    ASSERT_TRUE(stage.view().alert);
    EXPECT_EQ(stage.fleet->recycle("app", "app-2", "").status, 409);
}

// A worker that no signal reaches: its agent passes none on, and its pid means nothing here.
class StuckWorker : public testing::Test {
protected:
    void SetUp() override {
        const auto port = free_port(), control = free_port();
        ASSERT_TRUE(port && control);
        stage_.config.proxy.control = {"tcp:127.0.0.1:" + std::to_string(*control)}; // a unix socket would tell its pid
        stage_.config.proxy.token = "between us";
        stage_.pool().source.kind = config::SourceKind::static_addresses;
        stage_.pool().source.addresses = {"127.0.0.1:" + std::to_string(*port)};
        stage_.pool().recycle.end_timeout = 100ms;
        arguments_ = {"--port", std::to_string(*port), "--agent", "--elsewhere", "--deaf"};
        ASSERT_EQ(stage_.start(), "");
        first_ = std::make_unique<Stranger>(stage_, "app.py", arguments_);
        ASSERT_TRUE(stage_.serving(1) && stage_.until([&] { return stage_.worker("app-1").agent.connected; }));
    }
    Stage stage_;
    std::vector<std::string> arguments_;
    std::unique_ptr<Stranger> first_;
};

TEST_F(StuckWorker, its_place_comes_back_with_the_next_process) {
    ASSERT_EQ(stage_.fleet->recycle("app", "app-1", "").status, 202);
    const auto incident = stage_.incident("operator");
    ASSERT_TRUE(incident);
    ASSERT_NE(incident->details.find("\"outcome\":\"stuck\""), std::string::npos) << Stage::story(*incident);
    EXPECT_EQ(stage_.worker("app-1").state, "stuck");
    first_->end(SIGKILL);
    Stranger next(stage_, "app.py", arguments_);
    ASSERT_TRUE(stage_.serving(1)) << stage_.worker("app-1").state;
    EXPECT_TRUE(stage_.until([&] { return stage_.worker("app-1").agent.connected; }));
    EXPECT_EQ(stage_.worker("app-1").generation, 2U);
}

// The stacks are a pipe: they are being read for as long as the test has it open.
TEST_F(StuckWorker, that_ends_at_last_while_its_stacks_are_read_is_not_stuck) {
    const std::string stacks = at(stage_, "stacks." + std::to_string(first_->pid()) + ".txt");
    ASSERT_EQ(::mkfifo(stacks.c_str(), 0600), 0);
    ASSERT_EQ(stage_.fleet->recycle("app", "app-1", "").status, 202);
    Fd pipe;
    ASSERT_TRUE(stage_.until([&] {
        pipe.reset(::open(stacks.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC)); // nobody reads yet: ENXIO
        return static_cast<bool>(pipe);
    }));
    first_->end(SIGKILL);
    ASSERT_TRUE(stage_.until([&] { return !stage_.worker("app-1").agent.connected; }));
    pipe.reset();
    Stranger next(stage_, "app.py", arguments_);
    const auto incident = stage_.incident("operator");
    ASSERT_TRUE(incident);
    EXPECT_NE(incident->details.find("\"outcome\":\"done\""), std::string::npos) << Stage::story(*incident);
    EXPECT_EQ(stage_.worker("app-1").generation, 2U);
}

TEST(StaticSource, an_agent_that_listens_at_none_of_the_addresses_is_refused) {
    Stage stage;
    two_addresses(stage);
    Stranger a(stage, "app.py", {"--socket", at(stage, "a.sock"), "--agent"});
    Stranger elsewhere(stage, "app.py", {"--socket", at(stage, "c.sock"), "--agent"});
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.until([&] { return stage.worker("app-1").agent.connected; }));
    EXPECT_FALSE(stage.until([&] { return stage.worker("app-2").agent.connected; }, 1s));
}

} // namespace
} // namespace plimsoll::fleet
