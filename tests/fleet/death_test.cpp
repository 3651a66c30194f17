#include "fleet/death.hpp"

#include <csignal>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/fleet/stage.hpp"

namespace plimsoll::fleet {
namespace {

using namespace std::chrono_literals;

sense::Cgroup group(std::uint64_t kills) {
    sense::Cgroup cgroup;
    cgroup.path = "/sys/fs/cgroup/app";
    cgroup.limit = 512_MiB;
    cgroup.oom_kills = kills;
    return cgroup;
}

TEST(Death, a_sigkill_with_a_risen_count_is_the_kernels_for_want_of_memory) {
    const Death death = explain_death("app-2", "pid 12", Exit{{}, SIGKILL}, group(3), 4, 500_MiB, 1);
    EXPECT_TRUE(death.out_of_memory);
    for (const char* part :
         {"app-2 (pid 12) died", "SIGKILL", "out of memory", "512", "500", "1 request was in flight"})
        EXPECT_NE(death.verdict.find(part), std::string::npos) << death.verdict;
}

TEST(Death, a_count_that_did_not_rise_blames_nobody) {
    EXPECT_FALSE(explain_death("a", "p", Exit{{}, SIGKILL}, group(3), 3, {}, 0).out_of_memory);
    EXPECT_FALSE(explain_death("a", "p", Exit{{}, SIGKILL}, group(3), std::nullopt, {}, 0).out_of_memory);
    EXPECT_FALSE(explain_death("a", "p", Exit{{}, SIGKILL}, std::nullopt, 4, {}, 0).out_of_memory);
}

TEST(Death, an_exit_code_or_another_signal_is_no_want_of_memory_whatever_the_count) {
    EXPECT_FALSE(explain_death("a", "p", Exit{1, {}}, group(3), 4, {}, 0).out_of_memory);
    EXPECT_FALSE(explain_death("a", "p", Exit{{}, SIGSEGV}, group(3), 4, {}, 0).out_of_memory);
}

TEST(Death, where_nobody_saw_the_signal_the_count_speaks) {
    EXPECT_TRUE(explain_death("a", "p", std::nullopt, group(3), 4, {}, 0).out_of_memory);
}

// A memory cgroup of this test's own. Root, and a v1 hierarchy that can be written, are not everywhere.
struct SmallGroup {
    explicit SmallGroup(const char* limit) {
        path = "/sys/fs/cgroup/memory/plimsoll-test-" + std::to_string(::getpid());
        std::error_code ec;
        usable = std::filesystem::create_directory(path, ec) && write("memory.limit_in_bytes", limit);
    }
    ~SmallGroup() {
        for (int i = 0; usable && i < 100 && ::rmdir(path.c_str()) != 0; ++i) ::usleep(20'000);
    }
    bool write(const std::string& file, const std::string& text) const {
        std::ofstream out(path + "/" + file);
        out << text;
        out.flush();
        return out.good();
    }
    std::string path;
    bool usable = false;
};

TEST(Death, a_worker_that_outgrows_its_cgroup_is_told_as_killed_for_memory) {
    const SmallGroup small("100M");
    if (!small.usable) GTEST_SKIP() << "no memory cgroup (v1) can be made here";
    Stage stage;
    stage.pool().source.kind = config::SourceKind::command;
    auto command = Stage::python("app.py", {"--socket", "{socket}"});
    stage.pool().source.command = {"sh", "-c", "echo $$ > " + small.path + "/cgroup.procs; exec \"$@\"", "sh"};
    for (const std::string& part : command) stage.pool().source.command.push_back(part);
    stage.pool().source.workers = 1;
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1));
    ASSERT_TRUE(stage.until([&] { return stage.worker("app-1").memory.limit == Bytes{100 << 20}; }))
        << "the limit of the cgroup is the worker's";
    EXPECT_EQ(stage.ask_worker("app-1", "/grow/300"), "");
    const auto incident = stage.incident("death");
    ASSERT_TRUE(incident);
    EXPECT_NE(incident->verdict.find("out of memory"), std::string::npos) << Stage::story(*incident);
    ASSERT_TRUE(stage.serving(1));
    stage.stop();
}

} // namespace
} // namespace plimsoll::fleet
