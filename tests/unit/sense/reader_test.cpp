#include "sense/memory.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>

#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace plimsoll::sense {
namespace {

namespace fs = std::filesystem;

// A tree of files that stands for /proc and /sys/fs/cgroup.
class Tree : public testing::Test {
protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "plimsoll-sense-XXXXXX").string();
        root_ = ::mkdtemp(pattern.data());
    }
    void TearDown() override { fs::remove_all(root_); }

    void write(const std::string& path, const std::string& text) const {
        const auto whole = fs::path(root_) / path;
        fs::create_directories(whole.parent_path());
        std::ofstream(whole) << text;
    }
    Reader reader() const { return Reader(root_ + "/proc", root_ + "/cgroup"); }

    std::string root_;
};
using cgroup = Tree;
using process = Tree;

TEST_F(cgroup, v2_gives_usage_working_set_and_kills) {
    write("proc/9/cgroup", "0::/app\n");
    write("cgroup/cgroup.controllers", "memory\n");
    write("cgroup/app/memory.current", "1000000\n");
    write("cgroup/app/memory.max", "4000000\n");
    write("cgroup/app/memory.stat", "anon 1\ninactive_file 300000\n");
    write("cgroup/app/memory.events", "low 0\nmax 4\noom 1\noom_kill 3\n");
    const auto read = reader().cgroup(9);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->version, Cgroup::Version::v2);
    EXPECT_EQ(read->usage, Bytes{1000000});
    EXPECT_EQ(read->working_set, Bytes{700000});
    EXPECT_EQ(read->limit, Bytes{4000000});
    EXPECT_EQ(read->oom_kills, 3U);
}

TEST_F(cgroup, v2_takes_the_tightest_limit_of_the_ancestors) {
    write("proc/9/cgroup", "0::/a/b/c\n");
    write("cgroup/cgroup.controllers", "memory\n");
    write("cgroup/a/memory.max", "500\n");
    write("cgroup/a/b/memory.max", "max\n");
    write("cgroup/a/b/c/memory.max", "900\n");
    write("cgroup/a/b/c/memory.current", "100\n");
    const auto read = reader().cgroup(9);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->limit, Bytes{500});
    EXPECT_FALSE(read->working_set) << "no memory.stat: unknown, not zero";
    EXPECT_FALSE(read->oom_kills);
}

// The kernel holds a cgroup up at memory.high (systemd's MemoryHigh=), and kills in it at memory.max.
TEST_F(cgroup, v2_takes_the_line_at_which_it_is_held_up_for_its_limit_where_that_comes_first) {
    write("proc/9/cgroup", "0::/a/b\n");
    write("cgroup/cgroup.controllers", "memory\n");
    write("cgroup/a/memory.max", "900\n");
    write("cgroup/a/memory.high", "400\n");
    write("cgroup/a/memory.current", "200\n");
    write("cgroup/a/b/memory.max", "max\n");
    write("cgroup/a/b/memory.high", "700\n");
    write("cgroup/a/b/memory.current", "100\n");
    const auto limit = [this] { return reader().cgroup(9)->limit; };
    EXPECT_EQ(limit(), Bytes{400}) << "of each level the lower one, and of all levels the lowest";
    EXPECT_EQ(reader().use_of_limit(*reader().cgroup(9)), Bytes{200}) << "that of the level whose line it is";
    write("cgroup/a/memory.high", "max\n");
    EXPECT_EQ(limit(), Bytes{700});
    write("cgroup/a/b/memory.high", "0\n");
    EXPECT_EQ(limit(), Bytes{900}) << "written for a moment, to have memory taken back: nobody lives under it";
}

TEST_F(cgroup, v2_without_the_controller_is_charged_to_the_ancestor_that_has_it) {
    write("proc/9/cgroup", "0::/a/leaf\n");
    write("cgroup/cgroup.controllers", "memory\n");
    write("cgroup/a/memory.current", "77\n");
    write("cgroup/a/memory.max", "max\n");
    fs::create_directories(root_ + "/cgroup/a/leaf");
    const auto read = reader().cgroup(9);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->path, root_ + "/cgroup/a");
    EXPECT_EQ(read->usage, Bytes{77});
    EXPECT_FALSE(read->limit);
}

TEST_F(cgroup, v1_without_a_limit_leaves_it_unset) {
    write("proc/9/cgroup", "4:memory:/app\n");
    write("cgroup/memory/app/memory.usage_in_bytes", "1000\n");
    write("cgroup/memory/app/memory.limit_in_bytes", "9223372036854771712\n");
    write("cgroup/memory/app/memory.stat",
          "inactive_file 1\nhierarchical_memory_limit 9223372036854771712\ntotal_inactive_file 400\n");
    write("cgroup/memory/app/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
    const auto read = reader().cgroup(9);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->version, Cgroup::Version::v1);
    EXPECT_EQ(read->usage, Bytes{1000});
    EXPECT_EQ(read->working_set, Bytes{600});
    EXPECT_FALSE(read->limit);
    EXPECT_EQ(read->oom_kills, 2U);
}

TEST_F(cgroup, v1_takes_the_kernels_minimum_over_the_ancestors) {
    write("proc/9/cgroup", "4:memory:/app\n");
    write("cgroup/memory/app/memory.usage_in_bytes", "1000\n");
    write("cgroup/memory/app/memory.limit_in_bytes", "5000\n");
    write("cgroup/memory/app/memory.stat", "hierarchical_memory_limit 3000\n");
    EXPECT_EQ(reader().cgroup(9)->limit, Bytes{3000});
    EXPECT_EQ(reader().cgroup(9)->limit_path, root_ + "/cgroup/memory/app") << "nobody tells how much all of them use";
    write("cgroup/memory/memory.usage_in_bytes", "2500\n"); // of the container
    EXPECT_EQ(reader().cgroup(9)->limit_path, root_ + "/cgroup/memory") << "they all share the limit above the mount";
    EXPECT_EQ(reader().use_of_limit(*reader().cgroup(9)), Bytes{2500});
}

TEST_F(cgroup, v1_walks_up_where_the_kernel_does_not_tell) {
    write("proc/9/cgroup", "4:memory:/a/app\n");
    write("cgroup/memory/a/memory.limit_in_bytes", "2000\n");
    write("cgroup/memory/a/app/memory.usage_in_bytes", "1000\n");
    write("cgroup/memory/a/app/memory.limit_in_bytes", "5000\n");
    EXPECT_EQ(reader().cgroup(9)->limit, Bytes{2000});
}

TEST_F(cgroup, what_counts_against_a_limit_is_read_where_the_limit_is) {
    write("proc/9/cgroup", "4:memory:/a/app\n");
    write("cgroup/memory/a/memory.limit_in_bytes", "2000\n");
    write("cgroup/memory/a/memory.usage_in_bytes", "1900\n");
    write("cgroup/memory/a/memory.stat", "inactive_file 7\ntotal_inactive_file 400\n");
    write("cgroup/memory/a/app/memory.usage_in_bytes", "1000\n");
    write("cgroup/memory/a/app/memory.limit_in_bytes", "5000\n");
    const auto v1 = reader().cgroup(9);
    ASSERT_TRUE(v1);
    EXPECT_EQ(v1->limit_path, root_ + "/cgroup/memory/a");
    EXPECT_EQ(reader().use_of_limit(*v1), Bytes{1500});
    write("cgroup/memory/a/memory.stat", "total_inactive_file 400\ntotal_active_file 900\n");
    EXPECT_EQ(reader().use_of_limit(*v1), Bytes{600}) << "a file that is read often kills nobody";
    EXPECT_FALSE(reader().use_of_limit(Cgroup{})) << "no limit, nothing to count against it";
}

TEST_F(cgroup, hybrid_has_memory_in_v1) {
    write("proc/9/cgroup", "4:memory:/app\n0::/app\n");
    write("cgroup/unified/cgroup.controllers", "hugetlb\n");
    fs::create_directories(root_ + "/cgroup/unified/app");
    write("cgroup/memory/app/memory.usage_in_bytes", "1000\n");
    write("cgroup/memory/app/memory.limit_in_bytes", "5000\n");
    const auto read = reader().cgroup(9);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->version, Cgroup::Version::v1);
    EXPECT_EQ(read->limit, Bytes{5000});
}

TEST_F(cgroup, hybrid_with_memory_in_v2_is_found_under_unified) {
    write("proc/9/cgroup", "3:cpu:/app\n0::/app\n");
    write("cgroup/unified/cgroup.controllers", "memory\n");
    write("cgroup/unified/app/memory.current", "1000\n");
    write("cgroup/unified/app/memory.max", "5000\n");
    EXPECT_EQ(reader().cgroup(9)->limit, Bytes{5000});
}

TEST_F(cgroup, in_a_container_the_mount_itself_is_the_cgroup) {
    write("cgroup/cgroup.controllers", "memory\n");
    write("cgroup/memory.current", "1000\n");
    write("cgroup/memory.max", "5000\n");
    for (const auto path : {"/", "/docker/0123abcd", "/kubepods/burstable/pod1/c2"}) {
        write("proc/9/cgroup", "0::" + std::string(path) + "\n");
        const auto read = reader().cgroup(9);
        ASSERT_TRUE(read) << path;
        EXPECT_EQ(read->limit, Bytes{5000});
        EXPECT_EQ(read->path, root_ + "/cgroup");
    }
}

TEST_F(cgroup, in_a_container_a_nested_cgroup_is_found_below_the_mount) {
    write("proc/9/cgroup", "4:memory:/docker/0123abcd/gunicorn\n");
    write("cgroup/memory/memory.usage_in_bytes", "1\n");
    write("cgroup/memory/gunicorn/memory.usage_in_bytes", "1000\n");
    write("cgroup/memory/gunicorn/memory.limit_in_bytes", "5000\n");
    EXPECT_EQ(reader().cgroup(9)->usage, Bytes{1000});
}

TEST_F(cgroup, a_cgroup_outside_of_the_namespace_is_unknown_rather_than_ours) {
    write("cgroup/cgroup.controllers", "memory\n");
    write("cgroup/memory.current", "1000\n");
    for (const auto path : {"/..", "/../other", "/a/../../other"}) {
        write("proc/9/cgroup", "0::" + std::string(path) + "\n");
        EXPECT_FALSE(reader().cgroup(9)) << path;
    }
}

TEST_F(cgroup, nothing_to_read_is_unset) {
    EXPECT_FALSE(reader().cgroup(9)) << "no such process";
    write("proc/9/cgroup", "0::/\n");
    EXPECT_FALSE(reader().cgroup(9)) << "the root of a v2 host has no memory.current";
    write("cgroup/cgroup.controllers", "memory\n");
    write("cgroup/memory.current", "garbage\n");
    EXPECT_FALSE(reader().cgroup(9));
}

TEST_F(process, without_files_everything_is_unset) {
    EXPECT_FALSE(reader().statm(1));
    EXPECT_FALSE(reader().smaps_rollup(1));
    EXPECT_FALSE(reader().stat(1));
    EXPECT_FALSE(reader().address_space_limit(1));
    EXPECT_FALSE(reader().host());
    EXPECT_FALSE(reader().pressure());
}

TEST(real_proc, what_a_process_has_open_is_counted) {
    const Reader reader;
    const auto before = reader.opened(::getpid());
    ASSERT_TRUE(before.descriptors && before.threads && before.children);
    EXPECT_GE(*before.most_descriptors, *before.descriptors);
    const int more = ::dup(1);
    const pid_t child = ::fork();
    if (child == 0) {
        ::pause();
        ::_exit(0);
    }
    const auto after = reader.opened(::getpid());
    EXPECT_EQ(*after.descriptors, *before.descriptors + 1);
    EXPECT_EQ(*after.children, *before.children + 1);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(more);
    EXPECT_EQ(*reader.opened(::getpid()).children, *before.children);
    EXPECT_FALSE(reader.opened(1 << 30).threads);
}

TEST(real_proc, this_process_sees_itself) {
    const Reader reader;
    const auto statm = reader.statm(::getpid());
    ASSERT_TRUE(statm);
    EXPECT_GT(statm->anon(), Bytes{});
    EXPECT_LT(statm->rss, 4_GiB);
    const auto rollup = reader.smaps_rollup(::getpid());
    ASSERT_TRUE(rollup);
    EXPECT_GT(rollup->uss, Bytes{});
    EXPECT_LE(rollup->pss, rollup->rss);
    const auto stat = reader.stat(::getpid());
    ASSERT_TRUE(stat);
    EXPECT_EQ(stat->parent, ::getppid());
    EXPECT_GE(stat->threads, 1);
    const auto host = reader.host();
    ASSERT_TRUE(host);
    EXPECT_GT(host->total, host->available);
}

TEST(real_proc, growing_is_seen_by_statm) {
    const Reader reader;
    const auto before = reader.statm(::getpid());
    const std::string ballast(32 << 20, 'x');
    const auto after = reader.statm(::getpid());
    ASSERT_TRUE(before && after);
    EXPECT_GE(after->anon() - before->anon(), 30_MiB);
    EXPECT_EQ(ballast.back(), 'x');
}

TEST(real_proc, a_zombie_has_a_state_but_no_memory) {
    const int child = ::fork();
    if (child == 0) ::_exit(0);
    siginfo_t info{};
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
    const Reader reader;
    EXPECT_EQ(reader.stat(child)->state, 'Z');
    EXPECT_FALSE(reader.statm(child));
    EXPECT_FALSE(reader.smaps_rollup(child));
    ::waitpid(child, nullptr, 0);
    EXPECT_FALSE(reader.stat(child));
}

TEST(real_proc, the_cgroup_of_this_process_is_found_where_the_host_has_a_memory_controller) {
    const auto cgroup = Reader().cgroup(::getpid());
    if (!cgroup) GTEST_SKIP() << "no memory controller is mounted at /sys/fs/cgroup";
    EXPECT_GT(cgroup->usage.value_or(Bytes{}), Bytes{});
    EXPECT_TRUE(cgroup->working_set);
}

} // namespace
} // namespace plimsoll::sense
