// The program is killed, and started again: nothing is lost, nobody is left behind.
#include <csignal>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "fleet/orphans.hpp"
#include "log/log.hpp"
#include "sense/memory.hpp"
#include "tests/fleet/stage.hpp"
#include "tests/fleet/stranger.hpp"

namespace plimsoll::fleet {
namespace {

using namespace std::chrono_literals;

// A fleet in a process of its own, killed by SIGKILL when `ripe` says so: what remains is what a crash leaves.
int killed_life(Stage& stage, const std::function<bool(Stage&)>& ripe) {
    // Or its thread may hold a lock just then (the allocator's, under ASan) that nobody in the child gives back.
    log::stop();
    const pid_t life = ::fork();
    if (life == 0) {
        const bool so = stage.start().empty() && ripe(stage);
        if (so) ::kill(::getpid(), SIGKILL);
        ::_exit(1);
    }
    int status = 0;
    ::waitpid(life, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

std::vector<int> processes_of(const Stage& stage) { return find_orphans(stage.directory.string()); }

void copies(Stage& stage, std::vector<std::string> more = {}) {
    stage.pool().source.kind = config::SourceKind::command;
    std::vector<std::string> arguments = {"--socket", "{socket}", "--agent"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    stage.pool().source.command = Stage::python("app.py", arguments);
    stage.pool().source.workers = 2;
}

TEST(Restart, servers_of_a_killed_life_end_with_it) {
    Stage stage;
    copies(stage);
    ASSERT_EQ(killed_life(stage, [](Stage& s) { return s.serving(2); }), SIGKILL);
    EXPECT_TRUE(stage.until([&] { return processes_of(stage).empty(); }));
}

TEST(Restart, those_that_do_not_heed_it_are_found_and_ended_by_the_next) {
    Stage stage;
    copies(stage, {"--ignore-term"});
    ASSERT_EQ(killed_life(stage, [](Stage& s) { return s.serving(2); }), SIGKILL);
    const auto orphans = processes_of(stage);
    ASSERT_EQ(orphans.size(), 2U);
    copies(stage);
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2)) << "they are not waited for";
    EXPECT_TRUE(stage.until([&] { return processes_of(stage).empty(); }, 15s));
    for (const WorkerView& worker : stage.view().workers)
        for (const int orphan : orphans) EXPECT_NE(worker.pid, orphan);
}

TEST(Restart, what_lives_on_its_own_or_belongs_to_a_living_plimsoll_is_no_orphan) {
    Stage stage;
    copies(stage);
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    EXPECT_TRUE(processes_of(stage).empty());
}

TEST(Restart, an_incident_in_flight_is_closed_as_abandoned_and_says_what_became_of_the_recycle) {
    Stage stage;
    copies(stage, {"--hang-capture"}); // so that the recycle is in its middle when the program dies
    ASSERT_EQ(killed_life(stage,
                          [](Stage& s) {
                              return s.serving(2) && s.until([&] { return s.worker("app-1").agent.connected; }) &&
                                     s.fleet->recycle("app", "app-1", "").status == 202 &&
                                     s.until([&] { return s.worker("app-1").state == "capturing"; });
                          }),
              SIGKILL);
    ASSERT_TRUE(std::filesystem::exists(stage.directory / "store" / "recycle-app.json"));
    copies(stage);
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    const auto incident = stage.incident("operator");
    ASSERT_TRUE(incident);
    EXPECT_EQ(incident->state, "abandoned");
    EXPECT_TRUE(stage.until([&] { return !std::filesystem::exists(stage.directory / "store" / "recycle-app.json"); }));
    EXPECT_TRUE(stage.until([&] {
        return Stage::story(*stage.store->get(incident->id)).find("were started by the Plimsoll that was killed") !=
               std::string::npos;
    })) << Stage::story(*stage.store->get(incident->id));
}

void killed_in(Stage& stage, const std::string& state) {
    stage.pool().source.kind = config::SourceKind::gunicorn;
    stage.pool().recycle.ready_timeout = 8s;
    stage.pool().capture.command = {"sleep", "3"}; // holds the recycle in its phase
    ASSERT_EQ(killed_life(stage,
                          [&](Stage& s) {
                              return s.serving(2) && s.fleet->recycle("app", "app-1", "").status == 202 &&
                                     s.until([&] { return s.worker("app-1").state == state; });
                          }),
              SIGKILL);
    stage.pool().capture.command.clear();
}

TEST(Restart, a_gunicorn_that_lives_on_has_the_recycle_finished_by_the_next_life) {
    Stage stage;
    Stranger arbiter(stage, "arbiter.py", {"--workers", "2"}); // somebody else's: it outlives the fleet
    killed_in(stage, "capturing");
    ASSERT_EQ(stage.start(), "");
    const auto incident = stage.incident("operator");
    ASSERT_TRUE(incident);
    EXPECT_TRUE(stage.until([&] {
        return stage.store->get(incident->id)->verdict.find("finished") != std::string::npos;
    })) << Stage::story(*stage.store->get(incident->id));
    EXPECT_TRUE(stage.until([&] { return stage.view().workers.size() == 2 && stage.view().serving == 2; }));
    EXPECT_FALSE(stage.until([&] { return stage.view().workers.size() != 2; }, 1s))
        << "the arbiter is content with two";
}

TEST(Restart, a_recycle_whose_successor_had_not_come_is_cancelled_by_the_next_life) {
    Stage stage;
    const std::string late = (stage.directory / "late").string();
    Stranger arbiter(stage, "arbiter.py", {"--workers", "2", "--late", late});
    stage.pool().source.kind = config::SourceKind::gunicorn;
    stage.pool().recycle.ready_timeout = 4s;
    const auto asked = [&](Stage& s) {
        if (!s.serving(2)) return false;
        std::ofstream(late) << "x";
        return s.fleet->recycle("app", "app-1", "").status == 202 && s.until([&] {
            std::ifstream marker(s.directory / "store" / "recycle-app.json");
            std::string text;
            return std::getline(marker, text) && text.find("\"successor\"") != std::string::npos;
        }) && !s.until([] { return false; }, 1s);
    };
    ASSERT_EQ(killed_life(stage, asked), SIGKILL);
    ASSERT_EQ(stage.start(), "");
    const auto incident = stage.incident("operator");
    ASSERT_TRUE(incident);
    EXPECT_TRUE(stage.until([&] {
        return stage.store->get(incident->id)->verdict.find("cancelled") != std::string::npos;
    })) << Stage::story(*stage.store->get(incident->id));
    std::filesystem::remove(late);
    EXPECT_TRUE(stage.serving(2));
    EXPECT_FALSE(stage.until([&] { return stage.view().workers.size() != 2; }, 1s))
        << "the arbiter is content with two";
}

TEST(Restart, nobody_is_recycled_while_the_recycle_of_the_life_before_is_settled) {
    Stage stage;
    const std::string late = (stage.directory / "late").string();
    Stranger arbiter(stage, "arbiter.py", {"--workers", "2", "--late", late});
    stage.pool().source.kind = config::SourceKind::gunicorn;
    stage.pool().recycle.ready_timeout = 12s; // a quarter of it is waited for the successor
    stage.pool().recycle.soft_limit = config::Level{100_MiB};
    const auto wished = [&](Stage& s) {
        if (!s.serving(2)) return false;
        std::ofstream(late) << "x";
        return !s.ask_worker("app-1", "/grow/120").empty() && s.until([&] {
            std::ifstream marker(s.directory / "store" / "recycle-app.json");
            std::string text;
            return std::getline(marker, text) && text.find("\"successor\"") != std::string::npos;
        });
    };
    ASSERT_EQ(killed_life(stage, wished), SIGKILL);
    ASSERT_EQ(stage.start(), "");
    const auto incident = stage.incident("soft_limit");
    ASSERT_TRUE(incident);
    bool another = false, over_the_limit = false;
    ASSERT_TRUE(stage.until([&] {
        another = another || !stage.view().recycling.empty();
        for (const WorkerView& worker : stage.view().workers)
            over_the_limit = over_the_limit || worker.state == "suspect";
        return stage.store->get(incident->id)->verdict.find("cancelled") != std::string::npos;
    })) << Stage::story(*stage.store->get(incident->id));
    EXPECT_TRUE(over_the_limit) << "it would have been recycled";
    EXPECT_FALSE(another);
    EXPECT_TRUE(stage.until([&] { return !stage.view().recycling.empty(); })) << "now it is its turn";
    std::filesystem::remove(late);
}

} // namespace
} // namespace plimsoll::fleet
