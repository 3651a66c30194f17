#include "fleet/source/uwsgi_source.hpp"

#include <csignal>
#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>

#include "tests/fleet/stage.hpp"

namespace plimsoll::fleet {
namespace {

using namespace std::chrono_literals;

TEST(UwsgiStats, workers_their_pids_and_cores_are_read) {
    const auto workers = parse_uwsgi_stats(R"({"version":"2.0.31","workers":[
        {"id":1,"pid":14,"accepting":1,"status":"idle","rss":0,"requests":70,"delta_requests":7,"cores":[{"id":0},{"id":1}]},
        {"id":2,"pid":0,"accepting":0,"status":"cheap","cores":[]}]})");
    ASSERT_TRUE(workers);
    ASSERT_EQ(workers->size(), 2U);
    EXPECT_EQ(workers->at(0).pid, 14);
    EXPECT_EQ(workers->at(0).cores, 2U);
    EXPECT_TRUE(workers->at(0).accepting);
    EXPECT_EQ(workers->at(0).requests, 7U) << "those of this process, not of its place";
    EXPECT_FALSE(workers->at(1).requests);
    EXPECT_FALSE(workers->at(1).accepting);
}

TEST(UwsgiStats, what_is_no_such_document_is_nothing) {
    for (const char* text :
         {"", "{", "[]", "{}", R"({"workers":1})", R"({"workers":[1]})", "HTTP/1.0 200 OK\r\n\r\n{}"})
        EXPECT_FALSE(parse_uwsgi_stats(text)) << text;
}

TEST(UwsgiSource, its_command_says_how_many_workers_it_has) {
    EXPECT_EQ(uwsgi_processes({"uwsgi", "--processes", "4"}), 4U);
    EXPECT_EQ(uwsgi_processes({"uwsgi", "-p", "3"}), 3U);
    EXPECT_EQ(uwsgi_processes({"uwsgi", "--workers=2"}), 2U);
    EXPECT_EQ(uwsgi_processes({"uwsgi", "--ini", "app.ini"}), 0U);
}

TEST(UwsgiSource, without_a_count_or_a_command_it_says_what_to_write) {
    Stage stage;
    stage.pool().source.kind = config::SourceKind::uwsgi;
    EXPECT_NE(stage.start().find("needs a command"), std::string::npos);
    Stage other;
    other.pool().source.kind = config::SourceKind::uwsgi;
    other.pool().source.command = {"uwsgi", "--ini", "app.ini"};
    EXPECT_NE(other.start().find("workers = 4"), std::string::npos);
}

// No package that every machine has: PLIMSOLL_TEST_UWSGI names one, else Debian's with its Python plugin is tried.
std::vector<std::string> uwsgi() {
    if (const char* named = std::getenv("PLIMSOLL_TEST_UWSGI")) return {named};
    if (std::filesystem::exists("/usr/lib/uwsgi/plugins/python3_plugin.so")) return {"uwsgi", "--plugin", "python3"};
    return {};
}

bool real_uwsgi(Stage& stage, unsigned workers) {
    auto command = uwsgi();
    if (command.empty()) return false;
    const std::string app = (stage.directory / "app.py").string();
    std::ofstream(app) << "import os\n"
                          "def application(environ, start_response):\n"
                          "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
                          "    return [str(os.getpid()).encode()]\n";
    for (const std::string& part :
         {std::string("--socket"), std::string("127.0.0.1:0"), std::string("--processes"), std::to_string(workers),
          std::string("--wsgi-file"), app, std::string("--need-app")})
        command.push_back(part);
    stage.pool().source.kind = config::SourceKind::uwsgi;
    stage.pool().source.command = command;
    return true;
}

TEST(UwsgiSource, a_worker_is_drained_told_to_go_by_hup_and_its_successor_serves_at_the_same_address) {
    Stage stage;
    if (!real_uwsgi(stage, 2)) GTEST_SKIP() << "no uWSGI here: apt-get install uwsgi-core uwsgi-plugin-python3";
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(2));
    const WorkerView before = stage.worker("app-2");
    const WorkerView other = stage.worker("app-1");
    EXPECT_EQ(before.slots, 1U);
    EXPECT_TRUE(stage.until([&] { return stage.worker("app-2").memory.anon.has_value(); }));
    ASSERT_EQ(stage.fleet->recycle("app", "app-2", "").status, 202);
    const auto incident = stage.incident("operator");
    ASSERT_TRUE(incident);
    EXPECT_NE(incident->details.find("\"outcome\":\"done\""), std::string::npos) << Stage::story(*incident);
    const WorkerView after = stage.worker("app-2");
    EXPECT_EQ(after.generation, 2U);
    EXPECT_EQ(after.address, before.address);
    EXPECT_NE(after.pid, before.pid);
    EXPECT_FALSE(alive(*before.pid));
    EXPECT_EQ(stage.worker("app-1").pid, other.pid) << "the other one is let alone";
    ::kill(*after.pid, SIGKILL);
    ASSERT_TRUE(stage.until([&] { return stage.worker("app-2").generation == 3 && stage.view().serving == 2; }));
    EXPECT_TRUE(stage.incident("death"));
    stage.stop();
    EXPECT_FALSE(alive(*other.pid));
}

} // namespace
} // namespace plimsoll::fleet
