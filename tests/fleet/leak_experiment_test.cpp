// What a suspicion sets going, and that all of it ends with it.
#include "fleet/leak_watch.hpp"

#include <algorithm>
#include <fstream>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "tests/fleet/stage.hpp"

namespace plimsoll::fleet {
namespace {

using namespace std::chrono_literals;
using Phase = net::Steering::Phase;

// Two workers whose growth is far from their limit: enough for a suspicion, and never for an accusation.
void two_workers(Stage& stage, const std::string& policy) {
    stage.pool().source.kind = config::SourceKind::command;
    stage.pool().source.command = Stage::python(
        "app.py", {"--socket", "{socket}", "--agent", "--commands", (stage.directory / "commands").string()});
    stage.pool().source.workers = 2;
    stage.pool().memory.limit = 4_GiB;
    stage.pool().capture.trace = true;
    stage.pool().leak.policy = policy;
    stage.pool().leak.experiment_slowdown = 1000; // what else the machine does must not end it
}

// Clients that ask for two routes, one of which leaves something behind.
struct Visitors {
    Stage& stage;
    std::mt19937 chance{7};

    bool until(const std::function<void()>& visit, const std::function<bool()>& so) {
        const Instant end = Clock::now() + 120s;
        while (!so() && Clock::now() < end) {
            for (int request = 0; request < 10; ++request) visit();
            stage.io.restart();
            stage.io.poll(); // the fleet has its turn
        }
        return so();
    }
    // One of ten leaves all that the ten do: its route is not sure for long.
    bool leak_now_and_then(const std::function<bool()>& so) {
        return until([this] { ask(chance() % 10 == 0 ? "/leave/200" : "/leave/0"); }, so);
    }
    bool leave_nothing(const std::function<bool()>& so) {
        return until([this] { ask("/leave/0"); }, so);
    }

private:
    void ask(const std::string& leaving) {
        const double draw = static_cast<double>(chance() % 1000) / 1000;
        stage.ask_by_route(chance() % 2 == 0 ? leaving : "/", draw);
    }
};

struct Visited {
    Stage stage;
    Visitors visitors{stage};

    explicit Visited(const std::string& policy) { two_workers(stage, policy); }
    bool serves() { return stage.start().empty() && stage.serving(2); }
};

std::string state_of_experiment(Stage& stage) {
    const auto experiment = stage.view().experiment;
    return experiment ? experiment->state : "";
}

bool suspected(Stage& stage) {
    return std::ranges::any_of(stage.view().workers, [](const WorkerView& each) { return each.state == "suspect"; });
}

std::vector<std::string> news(const Stage& stage) {
    std::vector<std::string> texts;
    for (const auto& [event, facts] : stage.published)
        if (event == "experiment") texts.emplace_back(facts.at("news").as_string());
    return texts;
}

// The last class that was published of each worker.
std::map<std::string, std::string> classes(const Stage& stage) {
    std::map<std::string, std::string> found;
    for (const auto& [event, facts] : stage.published)
        if (event == "leak" && facts.at("what") == "memory")
            found[std::string(facts.at("worker").as_string())] = facts.at("class").as_string();
    return found;
}

unsigned commands(const Stage& stage, const std::string& command) {
    std::ifstream file(stage.directory / "commands");
    unsigned count = 0;
    for (std::string line; std::getline(file, line);) count += line.starts_with(command + " ") ? 1 : 0;
    return count;
}

std::uint64_t requests(Stage& stage) {
    std::uint64_t sum = 0;
    for (const WorkerView& each : stage.view().workers) sum += each.requests;
    return sum;
}

TEST(LeakWatch, a_suspicion_that_was_wrong_ends_and_with_it_all_that_it_set_going) {
    Visited visited("act");
    Stage& stage = visited.stage;
    Visitors& visitors = visited.visitors;
    ASSERT_TRUE(visited.serves());
    ASSERT_TRUE(visitors.leak_now_and_then([&] { return state_of_experiment(stage) == "running"; }));
    EXPECT_NE(stage.net->steering().phase(), Phase::none);
    const auto calm = [&] { return !suspected(stage) && stage.view().leaks.empty(); };
    // What ended just now may look like growth once more, for a moment: for good is while thousands are served.
    std::uint64_t since = requests(stage);
    std::size_t told = 0;
    ASSERT_TRUE(visitors.leave_nothing([&] {
        if (!calm()) since = requests(stage), told = news(stage).size();
        return requests(stage) > since + 4000;
    }));
    EXPECT_EQ(state_of_experiment(stage), "over");
    EXPECT_EQ(stage.net->steering().phase(), Phase::none);
    EXPECT_TRUE(news(stage).back().ends_with("requests: over")) << news(stage).back();
    EXPECT_LE(news(stage).size(), told + 1);
    for (const auto& [worker, kind] : classes(stage)) EXPECT_NE(kind, "leaking") << worker;
    EXPECT_EQ(commands(stage, "trace_start"), 0U);
    EXPECT_TRUE(stage.store->list(10).empty());
    EXPECT_EQ(stage.view().recycles_ok, 0U);
}

TEST(LeakWatch, an_experiment_begins_with_a_suspicion_and_rests_when_its_budget_is_spent) {
    Visited visited("act");
    Stage& stage = visited.stage;
    Visitors& visitors = visited.visitors;
    stage.pool().leak.experiment_budget = 1000;
    ASSERT_TRUE(visited.serves());
    ASSERT_TRUE(visitors.leak_now_and_then([&] { return stage.net->steering().phase() == Phase::varied; }));
    EXPECT_TRUE(suspected(stage));
    EXPECT_EQ(state_of_experiment(stage), "running");
    EXPECT_TRUE(news(stage).back().starts_with("an experiment began")) << news(stage).back();
    ASSERT_TRUE(visitors.leak_now_and_then([&] { return state_of_experiment(stage) == "spent"; }));
    EXPECT_EQ(stage.net->steering().phase(), Phase::none);
    EXPECT_TRUE(news(stage).back().ends_with("requests: spent")) << news(stage).back();
    EXPECT_GE(stage.view().experiment->requests, 1000U);
    EXPECT_GT(stage.view().experiment->varied, 0U);
    const std::size_t told = news(stage).size();
    const std::uint64_t before = requests(stage);
    ASSERT_TRUE(visitors.leak_now_and_then([&] { return suspected(stage) && requests(stage) > before + 2000; }));
    EXPECT_EQ(news(stage).size(), told) << news(stage).back();
}

// The same traffic as begins an experiment under "act", for as long again.
TEST(LeakWatch, who_only_observes_sees_the_suspicion_and_no_request_is_sent_elsewhere) {
    Visited visited("observe");
    Stage& stage = visited.stage;
    Visitors& visitors = visited.visitors;
    ASSERT_TRUE(visited.serves());
    ASSERT_TRUE(visitors.leak_now_and_then([&] { return suspected(stage); }));
    const std::uint64_t before = requests(stage);
    bool steered = false;
    ASSERT_TRUE(visitors.leak_now_and_then([&] {
        steered = steered || stage.net->steering().phase() != Phase::none;
        return requests(stage) > before + 8000;
    }));
    EXPECT_FALSE(steered);
    EXPECT_FALSE(stage.view().experiment);
    EXPECT_TRUE(news(stage).empty());
    EXPECT_EQ(commands(stage, "trace_start"), 0U);
}

TEST(LeakWatch, an_experiment_ends_when_it_is_told_to_observe_only) {
    Visited visited("act");
    Stage& stage = visited.stage;
    Visitors& visitors = visited.visitors;
    ASSERT_TRUE(visited.serves());
    ASSERT_TRUE(visitors.leak_now_and_then([&] { return state_of_experiment(stage) == "running"; }));
    stage.pool().leak.policy = "observe";
    stage.fleet->apply(stage.config);
    ASSERT_TRUE(visitors.leak_now_and_then([&] { return state_of_experiment(stage) == "over"; }));
    EXPECT_EQ(stage.net->steering().phase(), Phase::none);
}

// One worker that is accused soon, with a window of the trace that only its budget would end, after nearly 20 s.
constexpr auto soon = 5s;
struct Accused {
    Stage stage;

    Accused() {
        two_workers(stage, "advise");
        stage.pool().source.workers = 1;
        stage.pool().memory.limit = 300_MiB;
        stage.pool().capture.trace_requests = 1'000'000;
        stage.pool().capture.trace_time = 600s;
    }
    std::optional<store::Incident> incident() {
        for (const store::Incident& each : stage.store->list(10))
            if (each.trigger == "leak") return stage.store->get(each.id);
        return std::nullopt;
    }
    // Slowly, so that readings see how it grows.
    bool ask(const std::string& path, Duration pause, const std::function<bool()>& so) {
        const Instant end = Clock::now() + 120s;
        while (!so() && Clock::now() < end) {
            stage.ask(path);
            const Instant next = Clock::now() + pause;
            stage.until([&] { return Clock::now() >= next; });
        }
        return so();
    }
    void reload(const std::string& policy) {
        stage.pool().leak.policy = policy;
        stage.fleet->apply(stage.config);
    }
};

TEST(LeakWatch, a_trace_ends_with_the_leak_that_it_was_for) {
    Accused accused;
    ASSERT_EQ(accused.stage.start(), "");
    ASSERT_TRUE(accused.stage.serving(1));
    ASSERT_TRUE(accused.ask("/grow/1", 25ms, [&] { return commands(accused.stage, "trace_start") == 1; }));
    ASSERT_TRUE(accused.ask("/", 1ms, [&] { return accused.incident()->state == "closed"; }));
    EXPECT_TRUE(accused.stage.until([&] { return commands(accused.stage, "trace_stop") == 1; }, soon));
}

TEST(LeakWatch, who_turns_to_observe_has_no_trace_any_more) {
    Accused accused;
    ASSERT_EQ(accused.stage.start(), "");
    ASSERT_TRUE(accused.stage.serving(1));
    ASSERT_TRUE(accused.ask("/grow/1", 25ms, [&] { return commands(accused.stage, "trace_start") == 1; }));
    accused.reload("observe");
    EXPECT_TRUE(accused.stage.until([&] { return commands(accused.stage, "trace_stop") == 1; }, soon));
}

TEST(LeakWatch, and_none_begins) {
    Accused accused;
    accused.stage.pool().capture.trace = false;
    ASSERT_EQ(accused.stage.start(), "");
    ASSERT_TRUE(accused.stage.serving(1));
    ASSERT_TRUE(accused.ask("/grow/1", 25ms, [&] { return accused.incident().has_value(); }));
    accused.stage.pool().capture.trace = true;
    accused.reload("observe");
    const Instant seen = Clock::now() + 20 * accused.stage.pool().memory.interval;
    ASSERT_TRUE(accused.ask("/grow/1", 25ms, [&] { return Clock::now() > seen; }));
    EXPECT_EQ(commands(accused.stage, "trace_start"), 0U);
    accused.reload("advise");
    EXPECT_TRUE(accused.ask("/", 25ms, [&] { return commands(accused.stage, "trace_start") == 1; }));
}

} // namespace
} // namespace plimsoll::fleet
