#include <csignal>
#include <fstream>

#include <gtest/gtest.h>

#include "tests/fleet/fake_agent.hpp"
#include "tests/fleet/stage.hpp"

namespace plimsoll::fleet {
namespace {

using namespace std::chrono_literals;

void copies(Stage& stage, unsigned workers, std::vector<std::string> more = {}) {
    stage.pool().source.kind = config::SourceKind::command;
    std::vector<std::string> arguments = {"--socket", "{socket}"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    stage.pool().source.command = Stage::python("app.py", arguments);
    stage.pool().source.workers = workers;
}

TEST(CommandSource, each_copy_has_an_address_of_its_own_and_serves_once_it_has_answered) {
    Stage stage;
    copies(stage, 3);
    ASSERT_EQ(stage.start(), "");
    EXPECT_FALSE(stage.fleet->ready());
    ASSERT_TRUE(stage.serving(3));
    EXPECT_TRUE(stage.fleet->ready());
    for (const WorkerView& worker : stage.view().workers) {
        EXPECT_EQ(worker.state, "serving");
        EXPECT_EQ(stage.ask_worker(worker.id, "/"), std::to_string(*worker.pid)) << worker.id;
    }
}

TEST(CommandSource, a_port_is_filled_in_where_the_command_wants_one) {
    Stage stage;
    stage.pool().source.kind = config::SourceKind::command;
    stage.pool().source.command = Stage::python("app.py", {"--port", "{port}"});
    stage.pool().source.workers = 1;
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1));
    EXPECT_NE(stage.ask("/"), "");
    EXPECT_TRUE(stage.worker("app-1").address.starts_with("127.0.0.1:")) << stage.worker("app-1").address;
}

TEST(CommandSource, a_command_without_an_address_is_refused_with_what_would_be_right) {
    Stage stage;
    stage.pool().source.kind = config::SourceKind::command;
    stage.pool().source.command = {"true"};
    EXPECT_NE(stage.start().find("{socket}"), std::string::npos);
}

TEST(CommandSource, a_program_that_cannot_be_found_is_said_at_start) {
    Stage stage;
    copies(stage, 1);
    stage.pool().source.command.front() = "no-such-program-anywhere";
    EXPECT_NE(stage.start().find("no-such-program-anywhere"), std::string::npos);
}

TEST(CommandSource, a_first_start_that_fails_is_told_with_its_last_words) {
    Stage stage;
    copies(stage, 1, {"--exit", "3"});
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.until([&] { return !stage.start_failed.empty(); }));
    EXPECT_NE(stage.start_failed.find("exit code 3: ModuleNotFoundError: No module named 'nowhere'"), std::string::npos)
        << stage.start_failed;
}

TEST(CommandSource, a_worker_that_fails_to_start_again_leaves_its_last_words_in_the_alert_and_no_file) {
    Stage stage;
    const std::string broken = (stage.directory / "broken").string();
    copies(stage, 1, {"--exit", "3", "--exit-if", broken});
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1));
    std::ofstream(broken) << "x";
    ::kill(*stage.worker("app-1").pid, SIGKILL);
    ASSERT_TRUE(stage.until(
        [&] { return stage.view().alert && stage.view().alert->find("ended before") != std::string::npos; }));
    EXPECT_EQ(*stage.view().alert,
              "app-1 ended before it served: exit code 3: ModuleNotFoundError: No module named 'nowhere'");
    const auto left = [&] {
        for (const auto& entry : std::filesystem::directory_iterator(stage.directory))
            if (entry.path().filename().string().starts_with("stacks.")) return true;
        return false;
    };
    EXPECT_TRUE(stage.until([&] { return !left(); }));
    std::filesystem::remove(broken);
    ASSERT_TRUE(stage.serving(1));
    EXPECT_FALSE(stage.view().alert) << *stage.view().alert;
}

TEST(CommandSource, workers_that_die_one_after_the_other_are_one_incident_and_an_alert) {
    Stage stage;
    copies(stage, 2);
    ASSERT_EQ(stage.start(), "");
    for (unsigned deaths = 1; deaths <= 5; ++deaths) {
        ASSERT_TRUE(stage.serving(2)) << deaths;
        EXPECT_EQ(stage.view().alert.has_value(), deaths > 3) << deaths;
        stage.ask_worker("app-1", "/die/7");
        ASSERT_TRUE(stage.until([&] { return stage.view().deaths == deaths; })) << deaths;
    }
    ASSERT_TRUE(stage.until([&] { return stage.view().alert->find("5 so far") != std::string::npos; }));
    EXPECT_NE(stage.view().alert->find("exit code 7"), std::string::npos) << *stage.view().alert;
    const auto told = [&] {
        return std::ranges::count_if(stage.store->list(100), [](const auto& each) { return each.trigger == "death"; });
    };
    EXPECT_EQ(told(), 3) << "two, and one for all that followed";
    stage.stop();
    const auto incident = stage.incident("death");
    ASSERT_TRUE(incident);
    EXPECT_NE(incident->verdict.find("5 so far"), std::string::npos) << incident->verdict;
    EXPECT_EQ(incident->state, "closed");
}

TEST(CommandSource, a_recycle_under_load_starts_the_successor_first_and_loses_nothing) {
    Stage stage;
    copies(stage, 2);
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    Clients clients(stage.net, 4);
    for (const std::string id : {"app-1", "app-2", "app-1"}) {
        const WorkerView before = stage.worker(id);
        const ActionResult result = stage.fleet->recycle("app", id, "");
        ASSERT_EQ(result.status, 202) << result.reason;
        EXPECT_EQ(stage.fleet->recycle("app", id, "").status, 409) << "one at a time";
        unsigned least = 2;
        ASSERT_TRUE(stage.until([&] {
            const PoolView view = stage.view();
            least = std::min(least, view.serving);
            for (const WorkerView& worker : view.workers) EXPECT_NE(worker.state, "gone") << "a place with a successor";
            return view.recycling.empty();
        }));
        EXPECT_EQ(least, 2U);
        const WorkerView after = stage.worker(id);
        EXPECT_EQ(after.generation, before.generation + 1);
        EXPECT_NE(after.pid, before.pid);
        EXPECT_FALSE(alive(*before.pid)) << "the old process has ended";
    }
    clients.stop();
    EXPECT_EQ(clients.failed(), 0U);
    EXPECT_GT(clients.answered(), 50U);
    const auto incident = stage.incident("operator");
    ASSERT_TRUE(incident);
    const std::string story = Stage::story(*incident);
    EXPECT_NE(story.find("answered 200 after"), std::string::npos) << story;
    EXPECT_NE(story.find("drained in"), std::string::npos) << story;
    EXPECT_NE(story.find("\"outcome\":\"done\""), std::string::npos) << story;
    EXPECT_NE(story.find("\"lost\":0"), std::string::npos) << story;
    EXPECT_EQ(stage.view().recycles_ok, 3U);
}

TEST(CommandSource, idle_connections_are_closed_before_the_process_hears_of_its_end) {
    Stage stage;
    copies(stage, 1);
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1));
    ASSERT_EQ(stage.fleet->recycle("app", "app-1", "").status, 202);
    const int pid = *stage.worker("app-1").pid;
    bool alive_when_closed = false;
    ASSERT_TRUE(stage.until([&] {
        if (stage.closed_idle.size() == 1) alive_when_closed = alive(pid);
        return !stage.closed_idle.empty();
    }));
    EXPECT_TRUE(alive_when_closed);
}

TEST(CommandSource, a_killed_worker_is_out_of_the_pool_at_once_and_started_again) {
    Stage stage;
    copies(stage, 2);
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    const int pid = *stage.worker("app-1").pid;
    ::kill(pid, SIGKILL);
    ASSERT_TRUE(stage.until([&] { return stage.net->stats().workers.size() == 1; }, 1s));
    ASSERT_TRUE(stage.serving(2));
    EXPECT_EQ(stage.worker("app-1").generation, 2U);
    const auto incident = stage.incident("death");
    ASSERT_TRUE(incident);
    EXPECT_NE(incident->verdict.find("SIGKILL"), std::string::npos) << incident->verdict;
    EXPECT_NE(Stage::story(*incident).find("serves in its place"), std::string::npos) << Stage::story(*incident);
    EXPECT_EQ(stage.view().deaths, 1U);
}

TEST(CommandSource, an_exit_code_is_told_in_the_incident) {
    Stage stage;
    copies(stage, 1);
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1));
    EXPECT_EQ(stage.ask_worker("app-1", "/die/7"), "");
    const auto incident = stage.incident("death");
    ASSERT_TRUE(incident);
    EXPECT_NE(incident->verdict.find("exit code 7"), std::string::npos) << incident->verdict;
}

TEST(CommandSource, a_worker_that_ignores_sigterm_is_ended_by_the_ladder_and_the_incident_says_so) {
    Stage stage;
    copies(stage, 1, {"--ignore-term"});
    stage.pool().recycle.end_timeout = 300ms;
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1));
    ASSERT_EQ(stage.fleet->recycle("app", "app-1", "").status, 202);
    const auto incident = stage.incident("operator");
    ASSERT_TRUE(incident);
    EXPECT_NE(Stage::story(*incident).find("ABRT"), std::string::npos) << Stage::story(*incident);
    EXPECT_NE(Stage::story(*incident).find("\"outcome\":\"done\""), std::string::npos) << Stage::story(*incident);
}

TEST(CommandSource, a_successor_that_does_not_start_is_given_up_and_the_old_worker_serves_on) {
    Stage stage;
    const std::string broken = (stage.directory / "broken").string();
    copies(stage, 2, {"--exit", "3", "--exit-if", broken});
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    std::ofstream(broken) << "x";
    const WorkerView before = stage.worker("app-1");
    ASSERT_EQ(stage.fleet->recycle("app", "app-1", "").status, 202);
    ASSERT_TRUE(stage.until([&] { return stage.view().recycling.empty(); }));
    EXPECT_EQ(stage.worker("app-1").pid, before.pid);
    EXPECT_EQ(stage.worker("app-1").state, "serving");
    EXPECT_EQ(stage.view().serving, 2U);
    ASSERT_TRUE(stage.view().alert);
    EXPECT_NE(stage.view().alert->find("did not become ready"), std::string::npos) << *stage.view().alert;
    const ActionResult again = stage.fleet->recycle("app", "app-2", "");
    EXPECT_EQ(again.status, 409) << "halted";
    EXPECT_TRUE(again.retry_after);
    // A worker that dies meanwhile comes back once the code is mended: that heals the pool.
    std::filesystem::remove(broken);
    ::kill(*stage.worker("app-2").pid, SIGKILL);
    ASSERT_TRUE(stage.until([&] { return stage.worker("app-2").generation == 2 && stage.view().serving == 2; }));
    EXPECT_FALSE(stage.view().alert) << *stage.view().alert;
    EXPECT_EQ(stage.fleet->recycle("app", "app-1", "").status, 202);
    ASSERT_TRUE(stage.until([&] { return stage.worker("app-1").generation == 3; }));
}

// A server that has workers of its own behind the one address of its place.
void servers(Stage& stage, unsigned workers_each) {
    stage.pool().source.kind = config::SourceKind::command;
    stage.pool().source.command =
        Stage::python("arbiter.py", {"--workers", std::to_string(workers_each), "--bind", "unix:{socket}", "--shared"});
    stage.pool().source.workers = 1;
}

TEST(CommandSource, a_server_that_replaces_its_worker_keeps_its_place_and_gets_requests_again) {
    Stage stage;
    servers(stage, 1);
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1) && stage.until([&] { return stage.worker("app-1").agent.connected; }));
    Clients clients(stage.net, 2);
    for (int i = 0; i < 5; ++i) {
        const int before = *stage.worker("app-1").pid;
        ::kill(before, SIGTERM);
        ASSERT_TRUE(
            stage.until([&] { return stage.worker("app-1").pid != before && stage.worker("app-1").agent.connected; }));
        const auto answered = clients.answered();
        ASSERT_TRUE(stage.until([&] { return clients.answered() > answered + 10; }, 3s)) << "closed for good";
    }
    clients.stop();
    EXPECT_EQ(clients.failed(), 0U);
    EXPECT_EQ(stage.worker("app-1").generation, 1U) << "the server is the same: its worker's end is not its death";
}

TEST(CommandSource, of_several_workers_behind_one_address_the_others_serve_on_when_one_leaves) {
    Stage stage;
    servers(stage, 3);
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1) && stage.until([&] { return stage.worker("app-1").agent.connected; }));
    Clients clients(stage.net, 2);
    for (int i = 0; i < 4; ++i) {
        const int bound = *stage.worker("app-1").pid;
        ::kill(bound, SIGTERM);
        ASSERT_TRUE(stage.until([&] {
            const WorkerView place = stage.worker("app-1");
            return !alive(bound) && place.pid != bound && place.agent.connected;
        }));
        const auto answered = clients.answered();
        ASSERT_TRUE(stage.until([&] { return clients.answered() > answered + 10; }, 3s)) << "closed for good";
    }
    clients.stop();
    EXPECT_EQ(clients.failed(), 0U);
    EXPECT_EQ(stage.worker("app-1").generation, 1U);
}

// Its server cannot answer any more: only an answer opens what a goodbye has closed.
TEST(CommandSource, who_hangs_up_in_silence_takes_no_goodbye_back) {
    Stage stage;
    copies(stage, 1);
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1) && stage.until([&] { return stage.admits(); }));
    const int server = *stage.worker("app-1").pid;
    ASSERT_EQ(::kill(server, SIGSTOP), 0);
    auto hello = FakeAgent::hello();
    hello["index"] = 1;
    hello["pid_namespace"] = 1; // a container's: it is known by its number
    for (const bool goodbye : {true, false}) {
        hello["pid"] = goodbye ? 5001 : 5002;
        FakeAgent agent(stage.io, stage.config.proxy.control.front());
        agent.say(hello);
        ASSERT_EQ(agent.hear_type(), "welcome");
        ASSERT_TRUE(stage.until([&] { return stage.worker("app-1").agent.connected; }));
        if (goodbye) agent.say(boost::json::object{{"type", "bye"}});
        agent.hang_up();
        ASSERT_TRUE(stage.until([&] { return !stage.worker("app-1").agent.connected; }));
        EXPECT_FALSE(stage.admits()) << (goodbye ? "after the goodbye" : "after the silence");
    }
    ASSERT_EQ(::kill(server, SIGCONT), 0);
    EXPECT_TRUE(stage.until([&] { return stage.admits(); })) << "it answers again";
}

TEST(CommandSource, a_server_that_an_application_starts_is_no_worker) {
    Stage stage;
    copies(stage, 1, {"--agent"});
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1) && stage.until([&] { return stage.worker("app-1").agent.connected; }));
    const int pid = *stage.worker("app-1").pid;
    ASSERT_NE(stage.ask("/helper"), "");
    ASSERT_TRUE(stage.until([&] {
        std::ifstream said(stage.directory / "helper");
        std::string line;
        return std::getline(said, line) && line.find("no worker but a part of one") != std::string::npos;
    }));
    EXPECT_EQ(stage.worker("app-1").pid, pid);
    EXPECT_TRUE(stage.worker("app-1").agent.connected);
}

TEST(CommandSource, stopping_ends_every_process_that_was_started) {
    Stage stage;
    copies(stage, 2, {"--ignore-term"});
    stage.pool().recycle.end_timeout = 200ms;
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    std::vector<int> pids;
    for (const WorkerView& worker : stage.view().workers) pids.push_back(*worker.pid);
    stage.stop();
    for (const int pid : pids) EXPECT_FALSE(alive(pid));
}

} // namespace
} // namespace plimsoll::fleet
