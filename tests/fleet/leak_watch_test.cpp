#include "fleet/leak_watch.hpp"

#include <csignal>
#include <fstream>

#include <gtest/gtest.h>

#include "fleet/leak_file.hpp"
#include "fleet/leak_text.hpp"
#include "tests/fleet/stage.hpp"

namespace plimsoll::fleet {
namespace {

using namespace std::chrono_literals;

void one_worker(Stage& stage, const std::string& policy) {
    stage.pool().source.kind = config::SourceKind::command;
    stage.pool().source.command = Stage::python("app.py", {"--socket", "{socket}", "--agent"});
    stage.pool().source.workers = 1;
    stage.pool().memory.limit = 300_MiB;
    stage.pool().leak.policy = policy;
}

// Every request leaves a mebibyte behind, until `so`.
bool leak_until(Stage& stage, const std::function<bool()>& so) {
    for (int request = 0; request < 260 && !so(); ++request) {
        stage.ask("/grow/1");
        stage.until([] { return false; }, 0s); // the monitor has its turn
        const auto next = Clock::now() + 25ms;
        stage.until([&] { return Clock::now() >= next; });
    }
    return so();
}

// Requests that leave nothing behind, or what `path` does, until `so`: as many as an acquittal can need.
bool serve_until(Stage& stage, const std::function<bool()>& so, const std::string& path = "/") {
    const Instant end = Clock::now() + 120s;
    while (!so() && Clock::now() < end) {
        stage.ask(path);
        const auto next = Clock::now() + 5ms;
        stage.until([&] { return Clock::now() >= next; });
    }
    return so();
}

std::optional<store::Incident> leak_incident(Stage& stage) {
    for (const store::Incident& each : stage.store->list(100))
        if (each.trigger == "leak" && each.verdict.find(" leaks ") != std::string::npos)
            return stage.store->get(each.id);
    return std::nullopt;
}

// One worker, of which one is advised, and the incident of its leak; empty: nobody accused it.
std::string accused(Stage& stage) {
    one_worker(stage, "advise");
    EXPECT_EQ(stage.start(), "");
    EXPECT_TRUE(stage.serving(1));
    leak_until(stage, [&] { return leak_incident(stage).has_value(); });
    const auto incident = leak_incident(stage);
    return incident ? incident->id : std::string{};
}

TEST(LeakWatch, a_leak_is_told_with_its_numbers_and_the_worker_is_recycled_before_its_limit) {
    Stage stage;
    one_worker(stage, "act");
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1));
    ASSERT_TRUE(leak_until(stage, [&] { return leak_incident(stage).has_value(); }));
    const auto incident = leak_incident(stage);
    EXPECT_NE(incident->verdict.find("app-1 leaks"), std::string::npos) << incident->verdict;
    EXPECT_NE(incident->verdict.find("a request"), std::string::npos) << incident->verdict;
    ASSERT_TRUE(stage.until([&] { return stage.worker("app-1").generation == 2; }));
    EXPECT_NE(Stage::story(*stage.store->get(incident->id)).find("is recycled: incident"), std::string::npos);
    ASSERT_TRUE(stage.until([&] { return stage.view().recycles_ok == 1; }));
    EXPECT_EQ(stage.view().deaths, 0U);
}

TEST(LeakWatch, who_only_observes_sees_the_class_and_nothing_is_done) {
    Stage stage;
    one_worker(stage, "observe");
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1));
    const auto leaking = [&] {
        const auto leak = stage.worker("app-1").leak;
        return leak && leak->kind == "leaking";
    };
    ASSERT_TRUE(leak_until(stage, leaking));
    const LeakView leak = *stage.worker("app-1").leak;
    EXPECT_NEAR(leak.bytes_per_request, 1 << 20, (1 << 20) / 5);
    EXPECT_TRUE(leak.requests_to_limit);
    ASSERT_EQ(stage.view().leaks.size(), 1U);
    EXPECT_EQ(stage.view().leaks[0].workers, std::vector<std::string>{"app-1"});
    EXPECT_NE(stage.view().leaks[0].advice, "");
    EXPECT_TRUE(stage.until([&] { return stage.worker("app-1").state == "suspect"; })) << stage.worker("app-1").state;
    EXPECT_FALSE(leak_incident(stage));
    EXPECT_EQ(stage.worker("app-1").generation, 1U);
}

// The same growth as is recycled for under "act", up to the same limit.
TEST(LeakWatch, who_is_advised_has_the_incident_and_no_worker_is_recycled) {
    Stage stage;
    ASSERT_NE(accused(stage), "");
    const auto nearly = [&] { return stage.worker("app-1").memory.pressure.value_or(0) > 0.8; };
    ASSERT_TRUE(leak_until(stage, nearly));
    EXPECT_EQ(stage.worker("app-1").generation, 1U);
    EXPECT_EQ(stage.view().recycling, "");
    EXPECT_EQ(stage.store->get(leak_incident(stage)->id)->state, "open");
}

TEST(LeakWatch, and_hears_of_holes_that_nobody_trims) {
    Stage stage;
    one_worker(stage, "advise");
    stage.pool().source.command.push_back("--holes");
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1));
    const auto told = [&] { return stage.incident("fragmentation", 0s).has_value(); };
    ASSERT_TRUE(leak_until(stage, told));
    EXPECT_NE(Stage::story(*stage.incident("fragmentation")).find("nothing is done"), std::string::npos);
    EXPECT_EQ(stage.view().trims, 0U);
}

TEST(LeakWatch, an_accusation_is_closed_by_the_same_process_when_its_growth_ends) {
    Stage stage;
    const std::string id = accused(stage);
    ASSERT_NE(id, "");
    ASSERT_TRUE(serve_until(stage, [&] { return stage.store->get(id)->state == "closed"; }));
    EXPECT_NE(stage.store->get(id)->verdict.find("app-1 does not leak memory any more"), std::string::npos)
        << stage.store->get(id)->verdict;
    EXPECT_EQ(stage.worker("app-1").generation, 1U);
}

TEST(LeakWatch, a_case_is_told_while_it_is_open_though_its_leaking_process_has_ended) {
    Stage stage;
    const std::string id = accused(stage);
    ASSERT_NE(id, "");
    ::kill(*stage.worker("app-1").pid, SIGKILL);
    ASSERT_TRUE(stage.until([&] { return stage.view().serving == 1 && stage.worker("app-1").generation == 2; }));
    ASSERT_TRUE(stage.until([&] { return stage.view().leaks.size() == 1 && stage.view().leaks[0].workers.empty(); }))
        << "nobody leaks now";
    const LeakReport told = stage.view().leaks[0];
    EXPECT_EQ(told.incidents, std::vector<std::string>{id});
    EXPECT_NE(told.verdict.find("leaked"), std::string::npos) << told.verdict;
    EXPECT_NE(told.verdict.find("closed when one has served"), std::string::npos) << told.verdict;
    EXPECT_GT(told.closed_after.value_or(0), 0);
    EXPECT_NE(stage.store->get(id)->details.find("\"advice\""), std::string::npos);
}

// Of what it loads a recycle frees nothing, and of what it leaks all.
TEST(LeakWatch, a_worker_that_is_above_its_soft_limit_from_the_first_is_still_recycled_for_a_leak) {
    Stage stage;
    one_worker(stage, "act");
    stage.pool().recycle.soft_limit = config::Level{1_MiB};
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.until([&] { return stage.view().alert.has_value(); })) << "it is not recycled again for that";
    const unsigned generation = stage.worker("app-1").generation;
    EXPECT_TRUE(leak_until(stage, [&] { return stage.worker("app-1").generation > generation; }));
    EXPECT_EQ(stage.view().deaths, 0U);
}

// Where clients are refused nobody asks it anything, and it would come neither to its soft limit nor to its end.
TEST(LeakWatch, who_leaks_is_recycled_at_the_load_line_and_not_only_at_its_limit) {
    Stage stage;
    one_worker(stage, "act");
    stage.pool().memory.load_line = 0.6;
    stage.pool().recycle.soft_limit = config::Level{290_MiB};
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1));
    EXPECT_TRUE(leak_until(stage, [&] { return stage.worker("app-1").generation == 2; }));
    EXPECT_EQ(stage.view().deaths, 0U);
}

// "trace_start 1234.567 {...}": when its agent was asked.
std::vector<double> asked_at(const Stage& stage, const std::string& command) {
    std::vector<double> times;
    std::ifstream file(stage.directory / "commands");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with(command + " ")) times.push_back(std::stod(line.substr(command.size() + 1)));
    return times;
}

TEST(LeakWatch, only_who_is_accused_is_traced_and_one_that_was_refused_is_traced_again_after_a_rest) {
    Stage stage;
    one_worker(stage, "advise");
    stage.pool().capture.trace = true;
    stage.pool().capture.trace_requests = 3;
    for (const std::string& word : {std::string("--refuse-traces"), std::string("1"), std::string("--commands"),
                                    (stage.directory / "commands").string()})
        stage.pool().source.command.push_back(word);
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1));
    std::size_t before_accusation = 0;
    ASSERT_TRUE(leak_until(stage, [&] {
        if (leak_incident(stage)) return true;
        before_accusation = asked_at(stage, "trace_start").size();
        return false;
    }));
    EXPECT_EQ(before_accusation, 0U);
    const std::string id = leak_incident(stage)->id;
    const auto named = [&] {
        const auto leaks = stage.view().leaks;
        return !leaks.empty() && !leaks[0].lines.empty();
    };
    ASSERT_TRUE(serve_until(stage, named, "/leave/64")) << Stage::story(*stage.store->get(id));
    const auto starts = asked_at(stage, "trace_start");
    ASSERT_EQ(starts.size(), 2U);
    EXPECT_GE(starts[1] - starts[0], 9.9);
    EXPECT_EQ(asked_at(stage, "trace_stop").size(), 1U) << "there is nothing to stop where it was refused";
    EXPECT_EQ(stage.view().leaks[0].lines[0].line, 7U);
    EXPECT_NE(Stage::story(*stage.store->get(id)).find("a trace could not be captured: a trace is on by itself"),
              std::string::npos)
        << Stage::story(*stage.store->get(id));
}

TEST(LeakWatch, who_leaks_is_held_against_a_sibling_that_does_not) {
    Stage stage;
    one_worker(stage, "advise");
    stage.pool().source.workers = 2;
    for (const std::string& word : {std::string("--commands"), (stage.directory / "commands").string()})
        stage.pool().source.command.push_back(word);
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    ASSERT_EQ(stage.fleet->drain("app", "app-2").status, 202); // so that it is asked for nothing
    ASSERT_TRUE(leak_until(stage, [&] { return stage.worker("app-1").state == "suspect"; }));
    ASSERT_EQ(stage.fleet->undrain("app", "app-2").status, 202);
    ASSERT_TRUE(stage.until([&] { return stage.worker("app-2").state == "serving"; }));
    ASSERT_EQ(stage.fleet->recycle("app", "app-1", "").status, 202);
    ASSERT_TRUE(stage.incident("operator"));
    EXPECT_EQ(asked_at(stage, "census").size(), 1U);
    std::ifstream file(stage.directory / "commands");
    const std::string asked{std::istreambuf_iterator<char>(file), {}};
    const auto capture = asked.find("capture_b ");
    ASSERT_NE(capture, std::string::npos) << asked;
    const std::string with = asked.substr(capture, asked.find('\n', capture) - capture);
    for (const char* told : {"\"sibling\": {", "\"bytearray\": {", "\"requests\": ", "\"frozen\": 7"})
        EXPECT_NE(with.find(told), std::string::npos) << told << " in " << with;
}

// One worker has one story of its holes, closed between two chapters, whatever process it is by then.
TEST(LeakWatch, the_story_of_a_heap_that_is_trimmed_goes_on_with_the_next_process) {
    Stage stage;
    one_worker(stage, "act");
    stage.pool().source.command.push_back("--holes");
    ASSERT_EQ(stage.start(), "");
    const auto of_holes = [&] {
        std::vector<store::Incident> found;
        for (const store::Incident& each : stage.store->list(100))
            if (each.trigger == "fragmentation") found.push_back(*stage.store->get(each.id));
        return found;
    };
    for (const unsigned generation : {1U, 2U}) {
        ASSERT_TRUE(stage.until([&] {
            return stage.view().serving == 1 && stage.worker("app-1").generation == generation &&
                   stage.worker("app-1").agent.connected;
        }));
        ASSERT_TRUE(leak_until(stage, [&] { return stage.view().trims == generation; })) << generation;
        ASSERT_TRUE(stage.until([&] { return of_holes().size() == 1 && of_holes()[0].state == "closed"; }));
        const std::string story = Stage::story(of_holes()[0]);
        EXPECT_NE(story.find("of app-1, generation " + std::to_string(generation)), std::string::npos) << story;
        EXPECT_EQ(story.find("while others served"), std::string::npos) << "it is the only one; " << story;
        ::kill(*stage.worker("app-1").pid, SIGKILL);
    }
}

TEST(LeakWatch, a_heap_is_trimmed_while_others_serve_where_there_are_others) {
    Stage stage;
    one_worker(stage, "act");
    stage.pool().source.workers = 2;
    stage.pool().source.command.push_back("--holes");
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    ASSERT_TRUE(leak_until(stage, [&] { return stage.view().trims > 0; }));
    const auto incident = stage.incident("fragmentation");
    ASSERT_TRUE(incident);
    EXPECT_NE(Stage::story(*incident).find("while others served"), std::string::npos) << Stage::story(*incident);
}

TEST(LeakFile, what_was_learned_is_read_as_it_was_written) {
    LeakMemory memory;
    memory.fingerprint = ". gunicorn shop";
    auto& entry = memory.cases[0];
    leak::AgeCurve curve;
    curve.life = 1'764'000'000'000'123ULL;
    curve.ended = curve.accused = true;
    curve.tell(5000, {1e8F, 4096.5F});
    entry.curves = {curve, curve};
    entry.incident = "i-000007";
    entry.accused_age = 4321;
    entry.recycles = 3;
    entry.release = "43";
    entry.releases = {{"42", 90'000, 0}, {"43", 0, 4321}};
    entry.past = {{"i-000003", {{"GET /orders/{n}"}, {"orders.py in remember"}, {"shop.Order"}}, "41", 2, 5000}};
    memory.load[7] = 12.5;
    memory.needs = {{"GET /reports/{n}", 200_MiB, 430_MiB, 40}, {"GET /health", Bytes{1 << 16}, Bytes{1 << 16}, 900}};
    memory.cases[0].is_new = true;
    const LeakMemory again = leak_memory_of(to_text(memory), memory.fingerprint);
    EXPECT_TRUE(again.cases[0].is_new);
    EXPECT_FALSE(again.cases[1].is_new);
    ASSERT_EQ(again.cases[0].curves.size(), 2U);
    EXPECT_EQ(again.cases[0].curves[0], curve);
    EXPECT_EQ(again.cases[0].incident, "i-000007");
    EXPECT_EQ(again.cases[0].accused_age, 4321);
    EXPECT_EQ(again.cases[0].recycles, 3U);
    EXPECT_EQ(again.cases[0].release, "43");
    EXPECT_EQ(again.cases[0].releases, entry.releases);
    EXPECT_EQ(again.cases[0].past, entry.past);
    EXPECT_EQ(again.load, memory.load);
    ASSERT_EQ(again.needs.size(), 2U);
    EXPECT_EQ(again.needs[0].label, "GET /reports/{n}");
    EXPECT_EQ(again.needs[0].expected, 200_MiB);
    EXPECT_EQ(again.needs[0].at_first, 430_MiB);
    EXPECT_EQ(again.needs[0].readings, 40U);
    EXPECT_TRUE(again.cases[1].curves.empty());
}

// A release in a directory of its own, say.
TEST(LeakFile, of_another_command_what_leaked_is_still_known_and_not_what_is_usual) {
    LeakMemory memory;
    memory.fingerprint = "/srv/releases/41 gunicorn shop";
    leak::AgeCurve curve;
    curve.tell(5000, {1e8F, 4096.5F});
    memory.cases[0].curves = {curve};
    memory.cases[0].incident = "i-000007";
    memory.cases[0].past = {{"i-000003", {{"GET /orders/{n}"}, {}, {}}, "41", 2, 5000}};
    memory.needs = {{"GET /reports/{n}", 200_MiB, 430_MiB, 40}};
    const LeakMemory told = leak_memory_of(to_text(memory), "/srv/releases/42 gunicorn shop");
    EXPECT_EQ(told.cases[0].incident, "i-000007");
    EXPECT_EQ(told.cases[0].past, memory.cases[0].past);
    EXPECT_TRUE(told.cases[0].curves.empty());
    EXPECT_TRUE(told.needs.empty());
}

TEST(LeakFile, a_file_that_is_damaged_says_nothing) {
    LeakMemory memory;
    memory.fingerprint = "one";
    memory.cases[0].incident = "i-000007";
    const std::string text = to_text(memory);
    EXPECT_EQ(leak_memory_of(text.substr(0, text.size() / 2), "one").cases[0].incident, "");
    EXPECT_EQ(leak_memory_of(R"({"version":1,"application":"one","watched":[7]})", "one").cases[0].incident, "");
    const char* wild =
        R"({"version":1,"application":"one","watched":{"memory":{"curves":[{"life":-1,"marks":[[1],"x"]}]}}})";
    const LeakMemory told = leak_memory_of(wild, "one");
    for (const auto& curve : told.cases[0].curves) EXPECT_TRUE(curve.marks.empty());
}

} // namespace
} // namespace plimsoll::fleet
