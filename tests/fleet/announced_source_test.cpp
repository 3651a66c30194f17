#include <algorithm>
#include <csignal>
#include <fstream>

#include <gtest/gtest.h>

#include "fleet/peer.hpp"
#include "sense/memory.hpp"
#include "tests/fleet/fake_agent.hpp"
#include "tests/fleet/stage.hpp"

namespace plimsoll::fleet {
namespace {

using namespace std::chrono_literals;

void arbiter(Stage& stage, config::SourceKind kind, unsigned workers, std::vector<std::string> more = {}) {
    stage.pool().source.kind = kind;
    std::vector<std::string> arguments = {"--workers", std::to_string(workers)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    stage.pool().source.command = Stage::python("arbiter.py", arguments);
}

// Over a unix socket the kernel would tell who dials.
void over_tcp(Stage& stage) {
    stage.config.proxy.control = {"tcp:127.0.0.1:0"};
    stage.config.proxy.token = "between us";
}

// An empty file, which the arbiter's workers look for; its path.
std::string file_of(Stage& stage, const char* name) {
    const auto path = stage.directory / name;
    std::ofstream{path};
    return path.string();
}

std::vector<int> pids(Stage& stage) {
    std::vector<int> all;
    for (const WorkerView& worker : stage.view().workers) all.push_back(worker.pid.value_or(0));
    return all;
}

TEST(GunicornSource, workers_that_announce_themselves_are_probed_and_serve) {
    Stage stage;
    arbiter(stage, config::SourceKind::gunicorn, 3);
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(3));
    for (const WorkerView& worker : stage.view().workers) {
        EXPECT_EQ(stage.ask_worker(worker.id, "/"), std::to_string(*worker.pid));
        EXPECT_TRUE(worker.addressable);
        EXPECT_EQ(worker.slots, 1U);
    }
    EXPECT_TRUE(stage.until(
        [&] { return stage.worker("app-1").memory.source == "proc" && stage.worker("app-1").memory.anon; }));
}

TEST(GunicornSource, a_chosen_worker_is_recycled_successor_first_and_nothing_is_lost) {
    Stage stage;
    arbiter(stage, config::SourceKind::gunicorn, 2);
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    Clients clients(stage.net, 4);
    for (const std::string id : {"app-2", "app-1", "app-2"}) {
        const auto before = stage.worker(id);
        const auto others = pids(stage);
        ASSERT_EQ(stage.fleet->recycle("app", id, "").status, 202);
        unsigned least = 2;
        ASSERT_TRUE(stage.until([&] {
            least = std::min(least, stage.view().serving);
            return stage.view().recycling.empty();
        }));
        EXPECT_EQ(least, 2U) << "capacity never falls";
        EXPECT_EQ(stage.worker(id).generation, before.generation + 1);
        EXPECT_FALSE(alive(*before.pid));
        unsigned same = 0;
        for (const int pid : pids(stage))
            for (const int other : others) same += pid == other;
        EXPECT_EQ(same, 1U) << "the other one is the same process";
    }
    clients.stop();
    EXPECT_EQ(clients.failed(), 0U);
    EXPECT_EQ(stage.view().workers.size(), 2U);
}

TEST(GunicornSource, a_successor_that_cannot_boot_is_cancelled_and_the_pool_heals_when_the_code_is_mended) {
    Stage stage;
    const std::string broken = (stage.directory / "broken").string();
    arbiter(stage, config::SourceKind::gunicorn, 2, {"--broken", broken});
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    std::ofstream(broken) << "x";
    const auto before = pids(stage);
    ASSERT_EQ(stage.fleet->recycle("app", "app-1", "").status, 202);
    const auto incident = stage.incident("operator");
    ASSERT_TRUE(incident);
    EXPECT_NE(Stage::story(*incident).find("cancelled"), std::string::npos) << Stage::story(*incident);
    EXPECT_EQ(pids(stage), before) << "the others keep serving";
    EXPECT_EQ(stage.view().serving, 2U);
    EXPECT_TRUE(stage.view().alert);
    EXPECT_EQ(stage.fleet->recycle("app", "app-2", "").status, 409);
    EXPECT_EQ(stage.store->list(100).size(), 1U)
        << "the recycle tells of its successor's end; there is no second story";
    std::filesystem::remove(broken);
    ::kill(before[1], SIGKILL);
    ASSERT_TRUE(stage.until([&] { return stage.worker("app-2").generation == 2 && stage.view().serving == 2; }));
    EXPECT_FALSE(stage.view().alert) << *stage.view().alert;
    EXPECT_EQ(stage.fleet->recycle("app", "app-1", "").status, 202);
    ASSERT_TRUE(stage.until([&] { return stage.view().recycles_ok == 1; }));
    EXPECT_EQ(stage.view().workers.size(), 2U);
}

TEST(GunicornSource, a_death_is_told_with_the_signal_that_the_arbiter_saw) {
    Stage stage;
    arbiter(stage, config::SourceKind::gunicorn, 2);
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    ::kill(*stage.worker("app-1").pid, SIGKILL);
    const auto incident = stage.incident("death");
    ASSERT_TRUE(incident);
    EXPECT_NE(incident->verdict.find("SIGKILL"), std::string::npos) << incident->verdict;
    ASSERT_TRUE(stage.serving(2));
    EXPECT_EQ(stage.worker("app-1").generation, 2U) << "the one that was forked in its place has its name";
}

TEST(GunicornSource, an_arbiters_word_of_another_host_is_about_none_of_ours) {
    Stage stage;
    arbiter(stage, config::SourceKind::gunicorn, 1, {"--elsewhere"});
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1));
    const WorkerView ours = stage.worker("app-1");
    char host[256] = {};
    ASSERT_EQ(::gethostname(host, sizeof host - 1), 0);
    FakeAgent other(stage.io, stage.config.proxy.control.front());
    boost::json::object word{
        {"type", "exited"}, {"pid", *ours.pid}, {"status", 9}, {"host", "elsewhere"}, {"pid_namespace", 1}};
    other.say(word);
    word["host"] = host;
    word["pid_namespace"] = 2;
    other.say(word);
    EXPECT_FALSE(stage.until([&] { return stage.view().serving == 0; }, 1s)) << "a pid alone names nobody";
    EXPECT_EQ(stage.view().deaths, 0U);
    word["pid_namespace"] = 1;
    other.say(word);
    EXPECT_TRUE(stage.until([&] { return stage.view().serving == 0; }));
}

TEST(GunicornSource, a_worker_that_is_killed_while_its_successor_boots_costs_the_arbiter_no_count) {
    Stage stage;
    arbiter(stage, config::SourceKind::gunicorn, 2);
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    const int pid = *stage.worker("app-1").pid;
    ASSERT_EQ(stage.fleet->recycle("app", "app-1", "").status, 202);
    ::kill(pid, SIGKILL);
    ASSERT_TRUE(stage.until([&] { return stage.view().recycling.empty() && stage.view().serving == 2; }));
    EXPECT_FALSE(stage.until([&] { return stage.view().workers.size() != 2; }, 1s));
    EXPECT_EQ(stage.view().serving, 2U);
}

TEST(GunicornSource, an_arbiter_that_is_killed_is_started_again) {
    Stage stage;
    arbiter(stage, config::SourceKind::gunicorn, 2);
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    const auto before = pids(stage);
    const int parent = sense::Reader().stat(before[0])->parent;
    ::kill(parent, SIGKILL);
    ASSERT_TRUE(stage.until([&] {
        const auto now = pids(stage);
        return stage.view().serving == 2 && now.size() == 2 && now[0] != before[0] && now[1] != before[1];
    }));
    for (const int pid : before) EXPECT_TRUE(stage.until([&] { return !alive(pid); })) << "no orphan is left";
    const auto incident = stage.incident("death");
    ASSERT_TRUE(incident);
}

TEST(GunicornSource, a_foreign_process_is_none_of_a_supervised_servers_workers) {
    Stage stage;
    arbiter(stage, config::SourceKind::gunicorn, 1);
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1));
    const std::string control = "PLIMSOLL_CONTROL=" + stage.config.proxy.control.front() +
                                " PLIMSOLL_POOL=app PLIMSOLL_RUN_DIR=" + stage.directory.string() + " ";
    const std::string script = std::filesystem::absolute("tests/fleet/app.py").string();
    std::system((control + "timeout 10 python3 " + script + " --agent --socket " + stage.directory.string() +
                 "/x.sock >" + stage.directory.string() + "/said 2>&1 &")
                    .c_str());
    ASSERT_TRUE(stage.until([&] {
        std::ifstream said(stage.directory / "said");
        std::string line;
        return std::getline(said, line) && line.find("none of its workers") != std::string::npos;
    }));
    EXPECT_EQ(stage.view().workers.size(), 1U);
}

TEST(UvicornSource, a_worker_is_drained_ended_and_its_successor_awaited) {
    Stage stage;
    arbiter(stage, config::SourceKind::uvicorn, 2, {"--order", "uvicorn"});
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    Clients clients(stage.net, 4);
    for (const std::string id : {"app-1", "app-2"}) {
        const auto before = stage.worker(id);
        ASSERT_EQ(stage.fleet->recycle("app", id, "").status, 202);
        ASSERT_TRUE(stage.until([&] { return stage.view().recycling.empty(); }));
        EXPECT_EQ(stage.worker(id).generation, before.generation + 1);
        EXPECT_FALSE(alive(*before.pid));
    }
    clients.stop();
    EXPECT_EQ(clients.failed(), 0U);
    EXPECT_EQ(stage.view().recycles_ok, 2U);
}

TEST(GunicornSource, where_no_successor_can_come_first_the_worker_is_drained_first) {
    Stage stage;
    arbiter(stage, config::SourceKind::gunicorn, 2, {"--order", "none"});
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    ASSERT_EQ(stage.fleet->recycle("app", "app-1", "").status, 202);
    const auto incident = stage.incident("operator");
    ASSERT_TRUE(incident);
    EXPECT_NE(Stage::story(*incident).find("cannot be started first"), std::string::npos) << Stage::story(*incident);
    EXPECT_NE(incident->details.find("\"outcome\":\"done\""), std::string::npos) << Stage::story(*incident);
    EXPECT_EQ(stage.worker("app-1").generation, 2U);
}

TEST(UvicornSource, a_worker_is_not_drained_when_another_one_was_lost_while_evidence_was_taken) {
    Stage stage;
    arbiter(stage, config::SourceKind::uvicorn, 2, {"--order", "uvicorn"});
    stage.pool().recycle.soft_limit = config::Level{100_MiB};
    stage.pool().capture.trace = true;
    stage.pool().capture.trace_time = 1500ms;
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    ASSERT_NE(stage.ask_worker("app-1", "/grow/120"), "");
    ASSERT_TRUE(stage.until([&] { return stage.view().recycling == "app-1"; }));
    ASSERT_EQ(stage.fleet->drain("app", "app-2").status, 202) << "one is left";
    unsigned least = 2;
    std::optional<store::Incident> incident;
    ASSERT_TRUE(stage.until([&] {
        least = std::min(least, stage.view().serving);
        incident = stage.incident("soft_limit", 0s);
        return incident.has_value();
    }));
    EXPECT_EQ(least, 1U);
    EXPECT_NE(incident->details.find("\"outcome\":\"refused\""), std::string::npos) << Stage::story(*incident);
    EXPECT_EQ(stage.worker("app-1").generation, 1U);
    EXPECT_FALSE(stage.view().alert) << *stage.view().alert; // nothing has failed
    ASSERT_EQ(stage.fleet->undrain("app", "app-2").status, 202);
    EXPECT_TRUE(stage.until([&] { return stage.worker("app-1").generation == 2; })) << "its turn has come";
}

TEST(GunicornSource, workers_without_an_agent_are_watched_and_reached_through_the_public_address) {
    Stage stage;
    arbiter(stage, config::SourceKind::gunicorn, 2, {"--bind", "unix:{run_dir}/public.sock", "--no-agent"});
    stage.pool().source.slots = 1;
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    for (const WorkerView& worker : stage.view().workers) {
        EXPECT_FALSE(worker.addressable);
        EXPECT_NE(worker.advice.find("plimsoll-agent"), std::string::npos) << worker.advice;
    }
    EXPECT_TRUE(stage.until([&] { return stage.worker("app-2").memory.anon.has_value(); }));
    const auto before = pids(stage);
    EXPECT_NE(std::ranges::find(before, std::atoi(stage.ask("/").c_str())), before.end());
    for (int request = 0; request < 9; ++request) stage.ask("/");
    EXPECT_TRUE(stage.until([&] { return stage.worker("app-1").requests == 5 && stage.worker("app-2").requests == 5; }))
        << "who served what nobody can tell: half of them each";
    ASSERT_EQ(stage.fleet->recycle("app", "app-1", "").status, 202);
    const auto incident = stage.incident("operator");
    ASSERT_TRUE(incident);
    EXPECT_NE(incident->details.find("\"outcome\":\"done\""), std::string::npos) << Stage::story(*incident);
    EXPECT_FALSE(alive(before[0]));
    EXPECT_EQ(stage.worker("app-1").generation, 2U);
    EXPECT_EQ(stage.net->stats().workers.at(0).slots, 2U);
}

TEST(GunicornSource, an_agent_that_dials_late_makes_the_worker_that_was_found_without_it_one_like_any_other) {
    Stage stage;
    const std::string loads = file_of(stage, "loads");
    arbiter(stage, config::SourceKind::gunicorn, 2,
            {"--bind", "unix:{run_dir}/public.sock", "--loads", loads, "--helper"});
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    const auto before = pids(stage);
    EXPECT_FALSE(stage.worker("app-1").addressable);
    Clients clients(stage.net, 2);
    std::filesystem::remove(loads);
    EXPECT_TRUE(stage.until([&] { return stage.worker("app-1").addressable && stage.worker("app-2").addressable; }));
    EXPECT_TRUE(stage.until([&] { return stage.worker("app-1").requests > 9 && stage.worker("app-2").requests > 9; }));
    EXPECT_EQ(pids(stage), before) << "the same two, and neither a second time nor the helper";
    for (const WorkerView& worker : stage.view().workers) EXPECT_EQ(worker.advice, "");
    ASSERT_EQ(stage.fleet->recycle("app", "app-1", "").status, 202);
    ASSERT_TRUE(stage.until([&] { return stage.view().recycles_ok == 1; }));
    clients.stop();
    EXPECT_EQ(clients.failed(), 0U);
    EXPECT_EQ(stage.view().workers.size(), 2U);
}

// Of both kinds of servers the workers are there while their applications load: with gunicorn they hold an open listener, with
// uvicorn one that does not listen yet.
TEST(UvicornSource, who_does_not_listen_yet_is_no_worker_yet) {
    Stage stage;
    const std::string silent = file_of(stage, "silent");
    arbiter(stage, config::SourceKind::uvicorn, 2, {"--bind", "unix:{run_dir}/public.sock", "--silent", silent});
    ASSERT_EQ(stage.start(), "");
    ASSERT_FALSE(stage.until([&] { return !stage.view().workers.empty(); }, 7s));
    std::filesystem::remove(silent);
    ASSERT_TRUE(stage.serving(2));
    EXPECT_NE(stage.ask("/"), "");
}

TEST(GunicornSource, the_first_without_an_agent_serve_when_one_of_them_has_answered) {
    Stage stage;
    const std::string stalls = file_of(stage, "stalls");
    arbiter(stage, config::SourceKind::gunicorn, 2,
            {"--bind", "unix:{run_dir}/public.sock", "--no-agent", "--stalls", stalls});
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.until([&] { return stage.view().workers.size() == 2; }));
    ASSERT_FALSE(stage.until([&] { return stage.view().serving > 0; }, 2s));
    std::filesystem::remove(stalls);
    ASSERT_TRUE(stage.serving(2));
    EXPECT_NE(stage.ask("/"), "");
}

TEST(GunicornSource, those_with_an_agent_and_no_address_are_taken_to_have_served_an_equal_part_too) {
    Stage stage;
    arbiter(stage, config::SourceKind::gunicorn, 2, {"--bind", "unix:{run_dir}/public.sock", "--shared"});
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    for (int request = 0; request < 10; ++request) ASSERT_NE(stage.ask("/"), "");
    EXPECT_TRUE(stage.until([&] { return stage.worker("app-1").requests == 5 && stage.worker("app-2").requests == 5; }))
        << stage.worker("app-1").requests << " and " << stage.worker("app-2").requests;
}

TEST(GunicornSource, where_pids_are_not_visible_agents_tell_the_memory_and_pass_orders_on) {
    Stage stage;
    arbiter(stage, config::SourceKind::gunicorn, 2, {"--elsewhere"});
    over_tcp(stage);
    stage.pool().memory.stale_after = 60s;
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    ASSERT_TRUE(stage.until([&] { return stage.worker("app-1").memory.pressure.has_value(); }));
    EXPECT_TRUE(stage.until([&] { return stage.worker("app-1").memory.limit == 200_MiB; }))
        << "two workers share what their container may use";
    const WorkerView before = stage.worker("app-1");
    EXPECT_EQ(before.memory.source, "agent");
    EXPECT_EQ(before.memory.anon, 40_MiB);
    Clients clients(stage.net, 4);
    ASSERT_EQ(stage.fleet->recycle("app", "app-1", "").status, 202);
    ASSERT_TRUE(stage.until([&] { return stage.view().recycles_ok == 1; }));
    clients.stop();
    EXPECT_EQ(clients.failed(), 0U);
    EXPECT_FALSE(alive(*before.pid));
    EXPECT_EQ(stage.view().workers.size(), 2U);
    ::kill(*stage.worker("app-2").pid, SIGKILL);
    const auto incident = stage.incident("death");
    ASSERT_TRUE(incident);
    EXPECT_NE(incident->verdict.find("SIGKILL"), std::string::npos) << "by the arbiter's word: " << incident->verdict;
    EXPECT_TRUE(stage.until([&] { return stage.worker("app-2").generation == 2 && stage.view().serving == 2; }));
}

TEST(GunicornSource, a_worker_of_another_namespace_that_dials_a_unix_socket_is_seen_by_its_own_number_here) {
    Stage stage;
    arbiter(stage, config::SourceKind::gunicorn, 1, {"--elsewhere"});
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1));
    EXPECT_TRUE(stage.until([&] { return stage.worker("app-1").memory.source == "proc"; }));
}

// As a reloader does: the pid stays, the program, its listener and all that it had learned do not.
TEST(UvicornSource, a_process_that_executes_itself_anew_keeps_its_place) {
    Stage stage;
    stage.pool().source.kind = config::SourceKind::uvicorn;
    ASSERT_EQ(stage.start(), "");
    auto hello = FakeAgent::hello();
    hello["pid_namespace"] = own_pid_namespace();
    for (const double started_at : {1000.0, 2000.0, 3000.0}) {
        hello["started_at"] = started_at;
        FakeAgent agent(stage.io, stage.config.proxy.control.front());
        agent.say(hello);
        ASSERT_EQ(agent.hear_type(), "welcome");
        const auto generation = static_cast<unsigned>(started_at / 1000);
        EXPECT_TRUE(stage.until([&] { return stage.worker("app-1").generation == generation; }, 3s)) << started_at;
        EXPECT_EQ(stage.view().workers.size(), 1U);
    }
    EXPECT_FALSE(stage.incident("death", 0s)) << "nobody died";
}

TEST(UvicornSource, a_socket_that_we_do_not_see_is_told_at_once_with_the_way_out) {
    Stage stage;
    stage.pool().source.kind = config::SourceKind::uvicorn;
    stage.pool().recycle.ready_timeout = 60s;
    ASSERT_EQ(stage.start(), "");
    auto hello = FakeAgent::hello();
    hello["pid_namespace"] = own_pid_namespace();
    hello["address"] = "unix:" + (stage.directory / "private-tmp.sock").string();
    hello["ready"] = true;
    FakeAgent agent(stage.io, stage.config.proxy.control.front());
    agent.say(hello);
    ASSERT_EQ(agent.hear_type(), "welcome");
    ASSERT_TRUE(stage.until([&] { return stage.view().alert.has_value(); }));
    const std::string alert = *stage.view().alert;
    for (const char* part : {"private-tmp.sock", "does not see", "PLIMSOLL_LISTEN=tcp:127.0.0.1"})
        EXPECT_NE(alert.find(part), std::string::npos) << alert;
}

TEST(UvicornSource, a_successor_that_takes_its_time_still_gets_the_place_of_the_one_that_said_goodbye) {
    Stage stage;
    const std::string late = (stage.directory / "late").string();
    arbiter(stage, config::SourceKind::uvicorn, 2, {"--order", "uvicorn", "--late", late});
    stage.pool().recycle.ready_timeout = 20s;
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    std::ofstream(late) << "x";
    ASSERT_EQ(stage.fleet->recycle("app", "app-1", "").status, 202);
    EXPECT_FALSE(stage.until([&] { return stage.view().workers.size() != 2; }, 7s));
    std::filesystem::remove(late);
    ASSERT_TRUE(stage.until([&] { return stage.view().recycles_ok == 1; }));
    EXPECT_EQ(stage.worker("app-1").generation, 2U);
    EXPECT_EQ(stage.view().workers.size(), 2U);
}

TEST(UvicornSource, where_pids_are_not_visible_a_siblings_agent_passes_the_signal_on) {
    Stage stage;
    arbiter(stage, config::SourceKind::uvicorn, 2, {"--order", "uvicorn", "--elsewhere"});
    over_tcp(stage);
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    const WorkerView before = stage.worker("app-2");
    ASSERT_EQ(stage.fleet->recycle("app", "app-2", "").status, 202);
    ASSERT_TRUE(stage.until([&] { return stage.view().recycles_ok == 1; }));
    EXPECT_FALSE(alive(*before.pid));
    EXPECT_EQ(stage.worker("app-2").generation, 2U);
    EXPECT_EQ(stage.view().workers.size(), 2U) << "the next one took the place, not a new one";
}

TEST(GunicornSource, stopping_ends_the_arbiter_and_its_workers) {
    Stage stage;
    arbiter(stage, config::SourceKind::gunicorn, 2);
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    const auto before = pids(stage);
    stage.stop();
    for (const int pid : before) EXPECT_FALSE(alive(pid));
}

} // namespace
} // namespace plimsoll::fleet
