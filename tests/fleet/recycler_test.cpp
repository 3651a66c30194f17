#include <csignal>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "tests/fleet/stage.hpp"

namespace plimsoll::fleet {
namespace {

using namespace std::chrono_literals;

void copies_with_agents(Stage& stage, unsigned workers, std::vector<std::string> more = {}) {
    stage.pool().source.kind = config::SourceKind::command;
    std::vector<std::string> arguments = {"--socket", "{socket}", "--agent"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    stage.pool().source.command = Stage::python("app.py", arguments);
    stage.pool().source.workers = workers;
    stage.pool().memory.limit = 300_MiB;
}

bool agents(Stage& stage) {
    return stage.until([&] {
        for (const WorkerView& worker : stage.view().workers)
            if (!worker.agent.connected) return false;
        return true;
    });
}

// What they began with is known.
bool read_since_they_serve(Stage& stage) {
    const auto before = stage.view().workers;
    return stage.until([&] {
        for (const WorkerView& worker : before)
            if (stage.worker(worker.id).memory.taken_at == worker.memory.taken_at) return false;
        return true;
    });
}

TEST(Recycler, a_worker_over_its_soft_limit_is_captured_and_replaced) {
    Stage stage;
    copies_with_agents(stage, 2);
    stage.pool().recycle.soft_limit = config::Level{100_MiB};
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2) && agents(stage));
    for (int i = 0; i < 12; ++i) stage.ask_worker("app-1", "/");
    ASSERT_NE(stage.ask_worker("app-1", "/grow/120"), "");
    const auto incident = stage.incident("soft_limit");
    ASSERT_TRUE(incident);
    const std::string story = Stage::story(*incident);
    EXPECT_EQ(incident->worker, "app-1");
    EXPECT_EQ(incident->capture_status, "done") << story;
    for (const char* part : {"soft_limit is 100", "file stacks.txt", "file census.json", "file memory-before.json",
                             "\"type\":\"bytearray\"", "\"outcome\":\"done\""})
        EXPECT_NE(story.find(part), std::string::npos) << part << "\n" << story;
    EXPECT_EQ(stage.worker("app-1").generation, 2U);
    EXPECT_LT(stage.worker("app-1").memory.anon->count, (100_MiB).count);
    EXPECT_EQ(stage.worker("app-2").generation, 1U) << "the other one is let alone";
    EXPECT_EQ(stage.view().captures_ok, 1U);
}

TEST(Recycler, a_hard_limit_as_a_share_of_the_workers_limit_is_reached_too) {
    Stage stage;
    copies_with_agents(stage, 1);
    stage.pool().recycle.hard_limit = config::Level{0.5};
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1));
    ASSERT_NE(stage.ask_worker("app-1", "/grow/170"), "");
    ASSERT_TRUE(stage.incident("hard_limit"));
    EXPECT_EQ(stage.worker("app-1").generation, 2U);
}

// The line gives itself half a minute to show an effect.
TEST(Recycler, where_refusing_requests_lowers_no_memory_the_worker_that_has_gathered_most_is_recycled_and_no_other) {
    Stage stage;
    copies_with_agents(stage, 2);
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2) && agents(stage) && read_since_they_serve(stage));
    ASSERT_NE(stage.ask_worker("app-1", "/grow/250"), "");
    ASSERT_NE(stage.ask_worker("app-2", "/grow/255"), "");
    const auto incident = stage.incident("futile_shedding", 70s);
    ASSERT_TRUE(incident);
    EXPECT_EQ(incident->worker, "app-2");
    EXPECT_NE(incident->verdict.find("did not lower the memory"), std::string::npos) << incident->verdict;
    EXPECT_EQ(stage.worker("app-2").generation, 2U);
    EXPECT_TRUE(stage.until([&] { return !stage.net->stats().shedding_futile; })) << "one has room now";
    EXPECT_EQ(stage.worker("app-1").generation, 1U);
}

TEST(Recycler, that_a_recycle_does_not_help_against_a_limit_is_known_after_one_for_futile_shedding_too) {
    Stage stage;
    copies_with_agents(stage, 1);
    stage.pool().recycle.soft_limit = config::Level{1_MiB}; // below what any process needs
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.until([&] { return stage.view().alert.has_value(); }));
    ASSERT_TRUE(read_since_they_serve(stage));
    ASSERT_NE(stage.ask_worker("app-1", "/grow/260"), "");
    ASSERT_TRUE(stage.incident("futile_shedding", 70s));
    EXPECT_EQ(stage.worker("app-1").generation, 3U);
    EXPECT_FALSE(stage.until([&] { return stage.worker("app-1").generation > 3; }, 2s));
    EXPECT_TRUE(stage.view().alert.has_value());
}

TEST(Recycler, where_no_recycle_would_lower_what_shedding_did_not_an_alert_says_so_and_everybody_is_served) {
    Stage stage;
    copies_with_agents(stage, 2);
    stage.pool().memory.limit = 10_MiB; // below what any process needs
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2) && agents(stage));
    ASSERT_TRUE(stage.until([&] { return stage.view().alert.has_value(); }, 70s));
    EXPECT_NE(stage.view().alert->find("no recycle would"), std::string::npos) << *stage.view().alert;
    EXPECT_TRUE(stage.admits());
    EXPECT_EQ(stage.worker("app-1").generation, 1U);
    EXPECT_EQ(stage.worker("app-2").generation, 1U);
    EXPECT_FALSE(stage.incident("futile_shedding", 1s));
}

TEST(Recycler, a_worker_that_its_recycle_did_not_help_is_not_recycled_again) {
    Stage stage;
    copies_with_agents(stage, 1);
    stage.pool().recycle.soft_limit = config::Level{1_MiB}; // below what any process needs
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.until([&] { return stage.view().alert.has_value(); }));
    EXPECT_NE(stage.view().alert->find("it is not recycled again"), std::string::npos) << *stage.view().alert;
    EXPECT_EQ(stage.worker("app-1").generation, 2U);
    EXPECT_FALSE(stage.until([&] { return stage.worker("app-1").generation > 2; }, 1s));
    const auto incident = stage.incident("soft_limit");
    ASSERT_TRUE(incident);
    EXPECT_NE(incident->details.find("not_improved"), std::string::npos) << incident->details;
    EXPECT_EQ(stage.view().recycles_ok, 1U);
    // Another limit, another judgement: and this one it is below.
    stage.pool().recycle.soft_limit = config::Level{200_MiB};
    stage.fleet->apply(stage.config);
    EXPECT_TRUE(stage.until([&] { return !stage.view().alert && stage.worker("app-1").state == "serving"; }, 2s));
}

TEST(Recycler, beyond_max_per_hour_an_operator_is_refused_with_a_time_to_ask_again) {
    Stage stage;
    copies_with_agents(stage, 1);
    stage.pool().recycle.max_per_hour = 1;
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1));
    ASSERT_EQ(stage.fleet->recycle("app", "app-1", "").status, 202);
    ASSERT_TRUE(stage.incident("operator"));
    const ActionResult refused = stage.fleet->recycle("app", "app-1", "");
    EXPECT_EQ(refused.status, 429);
    ASSERT_TRUE(refused.retry_after);
    EXPECT_GT(*refused.retry_after, 30min);
}

TEST(Recycler, requests_that_outlast_the_drain_are_cut_and_counted) {
    Stage stage;
    copies_with_agents(stage, 1);
    stage.pool().recycle.drain_timeout = 300ms;
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1));
    std::thread slow([&] { stage.ask("/sleep/4"); });
    ASSERT_TRUE(stage.until([&] { return stage.worker("app-1").in_flight == 1; }));
    EXPECT_EQ(stage.fleet->recycle("app", "app-1", "").status, 202);
    const auto incident = stage.incident("operator");
    slow.join();
    ASSERT_TRUE(incident);
    EXPECT_NE(incident->details.find("\"lost\":1"), std::string::npos) << Stage::story(*incident);
    EXPECT_NE(Stage::story(*incident).find("1 request still in flight"), std::string::npos) << Stage::story(*incident);
}

TEST(Recycler, a_capture_that_hangs_does_not_keep_the_worker_from_its_recycle) {
    Stage stage;
    copies_with_agents(stage, 1, {"--hang-capture"});
    stage.pool().recycle.capture_timeout = 500ms;
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1) && agents(stage));
    ASSERT_EQ(stage.fleet->recycle("app", "app-1", "").status, 202);
    const auto incident = stage.incident("operator");
    ASSERT_TRUE(incident);
    EXPECT_EQ(incident->capture_status, "partial") << Stage::story(*incident);
    EXPECT_NE(incident->details.find("\"outcome\":\"done\""), std::string::npos) << Stage::story(*incident);
    EXPECT_EQ(stage.worker("app-1").generation, 2U);
}

TEST(Recycler, a_stopped_worker_is_recycled_all_the_same) {
    Stage stage;
    copies_with_agents(stage, 1);
    stage.pool().recycle.capture_timeout = 300ms;
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1) && agents(stage));
    const int pid = *stage.worker("app-1").pid;
    ::kill(pid, SIGSTOP);
    ASSERT_EQ(stage.fleet->recycle("app", "app-1", "").status, 202);
    const auto incident = stage.incident("operator");
    ASSERT_TRUE(incident);
    EXPECT_FALSE(alive(pid));
    EXPECT_NE(incident->details.find("\"outcome\":\"done\""), std::string::npos) << Stage::story(*incident);
}

TEST(Recycler, an_operators_own_command_runs_while_the_worker_is_drained_and_its_output_is_kept) {
    Stage stage;
    copies_with_agents(stage, 1);
    stage.pool().capture.command = {"sh", "-c",
                                    "echo {worker} of {pool}: $(cat /proc/{pid}/comm); touch {directory}/more.txt"};
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1));
    ASSERT_EQ(stage.fleet->recycle("app", "app-1", "").status, 202);
    const auto incident = stage.incident("operator");
    ASSERT_TRUE(incident);
    EXPECT_EQ(stage.store->read_file(incident->id, "command.txt"), "app-1 of app: python3\n")
        << Stage::story(*incident);
    EXPECT_NE(Stage::story(*incident).find("file more.txt"), std::string::npos) << Stage::story(*incident);
}

TEST(Recycler, an_operators_command_that_hangs_is_ended_and_told) {
    Stage stage;
    copies_with_agents(stage, 1);
    stage.pool().capture.command = {"sh", "-c", "echo begun; sleep 60"};
    stage.pool().capture.command_timeout = 300ms;
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1));
    ASSERT_EQ(stage.fleet->recycle("app", "app-1", "").status, 202);
    const auto incident = stage.incident("operator");
    ASSERT_TRUE(incident);
    EXPECT_NE(Stage::story(*incident).find("did not end in capture.command_timeout"), std::string::npos)
        << Stage::story(*incident);
    EXPECT_EQ(stage.store->read_file(incident->id, "command.txt"), "begun\n");
}

TEST(Recycler, a_drained_worker_stays_drained_over_generations_until_it_is_undrained) {
    Stage stage;
    copies_with_agents(stage, 2);
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    ASSERT_EQ(stage.fleet->drain("app", "app-1").status, 202);
    EXPECT_EQ(stage.fleet->drain("app", "app-2").status, 409) << "one must serve";
    EXPECT_EQ(stage.worker("app-1").state, "draining");
    const std::string other = std::to_string(*stage.worker("app-2").pid);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(stage.ask("/"), other);
    ::kill(*stage.worker("app-1").pid, SIGKILL);
    ASSERT_TRUE(stage.until(
        [&] { return stage.worker("app-1").generation == 2 && stage.worker("app-1").state == "draining"; }));
    for (int i = 0; i < 5; ++i) EXPECT_EQ(stage.ask("/"), other);
    ASSERT_EQ(stage.fleet->undrain("app", "app-1").status, 202);
    EXPECT_EQ(stage.worker("app-1").state, "serving");
    EXPECT_EQ(stage.view().serving, 2U);
}

TEST(Recycler, a_serving_worker_is_captured_lightly_and_a_drained_one_in_full) {
    Stage stage;
    copies_with_agents(stage, 2);
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2) && agents(stage));
    const ActionResult light = stage.fleet->capture("app", "app-1");
    ASSERT_EQ(light.status, 202);
    ASSERT_TRUE(stage.until([&] { return stage.store->get(light.incident)->closed_at.has_value(); }));
    const std::string story = Stage::story(*stage.store->get(light.incident));
    EXPECT_NE(story.find("stacks.txt"), std::string::npos) << story;
    EXPECT_EQ(story.find("census.json"), std::string::npos) << story;
    ASSERT_EQ(stage.fleet->drain("app", "app-1").status, 202);
    const ActionResult full = stage.fleet->capture("app", "app-1");
    ASSERT_EQ(full.status, 202) << full.reason;
    ASSERT_TRUE(stage.until([&] { return stage.store->get(full.incident)->closed_at.has_value(); }));
    EXPECT_NE(Stage::story(*stage.store->get(full.incident)).find("census.json"), std::string::npos);
    EXPECT_EQ(stage.worker("app-1").state, "draining") << "it was captured, not ended";
}

TEST(Recycler, on_suspicion_allocations_are_traced_before_the_drain) {
    Stage stage;
    copies_with_agents(stage, 1);
    stage.pool().recycle.soft_limit = config::Level{100_MiB};
    stage.pool().capture.trace = true;
    stage.pool().capture.trace_requests = 5;
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1) && agents(stage));
    ASSERT_NE(stage.ask_worker("app-1", "/grow/120"), "");
    ASSERT_TRUE(stage.until([&] { return stage.worker("app-1").state == "suspect"; }));
    for (int i = 0; i < 8; ++i) stage.ask("/");
    const auto incident = stage.incident("soft_limit");
    ASSERT_TRUE(incident);
    EXPECT_NE(Stage::story(*incident).find("allocations were traced during"), std::string::npos)
        << Stage::story(*incident);
}

TEST(Recycler, a_worker_that_serves_on_without_a_successor_is_not_traced_any_more) {
    Stage stage;
    const std::string broken = (stage.directory / "broken").string(), heard = (stage.directory / "heard").string();
    copies_with_agents(stage, 1, {"--exit", "3", "--exit-if", broken, "--commands", heard});
    stage.pool().recycle.soft_limit = config::Level{100_MiB};
    stage.pool().capture.trace = true;
    stage.pool().capture.trace_time = 200ms;
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1) && agents(stage));
    std::ofstream(broken) << "x";
    ASSERT_NE(stage.ask_worker("app-1", "/grow/120"), "");
    const auto incident = stage.incident("soft_limit");
    ASSERT_TRUE(incident);
    ASSERT_NE(incident->details.find("no_successor"), std::string::npos) << Stage::story(*incident);
    std::ifstream file(heard);
    const std::string commands{std::istreambuf_iterator<char>(file), {}};
    const auto begun = commands.find("trace_start"), ended = commands.find("trace_stop");
    ASSERT_NE(begun, std::string::npos) << commands;
    EXPECT_NE(commands.find("\"seconds\": 25", begun), std::string::npos) << "no longer than it may last: " << commands;
    ASSERT_NE(ended, std::string::npos) << commands;
    EXPECT_LT(begun, ended);
}

TEST(Recycler, a_trace_of_a_serving_worker_is_bounded_and_leaves_it_serving) {
    Stage stage;
    copies_with_agents(stage, 1);
    stage.pool().capture.trace_time = 200ms;
    ASSERT_EQ(stage.start(), "");
    EXPECT_EQ(stage.fleet->trace("app", "app-1").status, 409) << "no agent yet";
    ASSERT_TRUE(stage.serving(1) && agents(stage));
    const ActionResult traced = stage.fleet->trace("app", "app-1");
    ASSERT_EQ(traced.status, 202) << traced.reason;
    EXPECT_EQ(stage.fleet->trace("app", "app-1").status, 409) << "one at a time";
    ASSERT_TRUE(stage.until([&] { return stage.store->get(traced.incident)->closed_at.has_value(); }));
    EXPECT_NE(Stage::story(*stage.store->get(traced.incident)).find("was traced on request"), std::string::npos);
    EXPECT_EQ(stage.worker("app-1").generation, 1U);
    EXPECT_EQ(stage.worker("app-1").state, "serving");
}

TEST(Recycler, actions_on_what_does_not_exist_are_not_found) {
    Stage stage;
    copies_with_agents(stage, 1);
    ASSERT_EQ(stage.start(), "");
    EXPECT_EQ(stage.fleet->recycle("app", "app-9", "").status, 404);
    EXPECT_EQ(stage.fleet->drain("nowhere", "app-1").status, 404);
}

} // namespace
} // namespace plimsoll::fleet
