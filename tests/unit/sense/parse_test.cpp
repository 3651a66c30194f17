#include "sense/memory.hpp"

#include <random>

#include <gtest/gtest.h>

namespace plimsoll::sense {
namespace {

constexpr std::string_view rollup =
    "55d0c0000000-7ffd1000 ---p 00000000 00:00 0          [rollup]\n"
    "Rss:               10000 kB\nPss:                4000 kB\nPss_Dirty:          3000 kB\n"
    "Shared_Clean:       6000 kB\nPrivate_Clean:       500 kB\nPrivate_Dirty:      2500 kB\n"
    "Anonymous:          2500 kB\nSwap:                 12 kB\nSwapPss:              12 kB\n"
    "Private_Hugetlb:       0 kB\nLocked:                0 kB\n";
constexpr std::string_view pressure = "some avg10=1.50 avg60=0.75 avg300=0.10 total=1234\n"
                                      "full avg10=0.50 avg60=0.25 avg300=0.05 total=234\n";

TEST(statm, counts_pages) {
    const auto statm = parse_statm("5000 1000 400 1 0 900 0\n", 4096);
    ASSERT_TRUE(statm);
    EXPECT_EQ(statm->rss, Bytes{4096000});
    EXPECT_EQ(statm->shared, Bytes{1638400});
    EXPECT_EQ(statm->anon(), Bytes{2457600});
}

TEST(statm, the_address_space_is_counted_too) {
    EXPECT_EQ(parse_statm("5000 1000 400 1 0 900 0\n", 4096)->size, Bytes{20480000});
}

TEST(peak, the_highest_and_what_is_now) {
    const auto peak = parse_peak("Name:\tpython3\nVmPeak:\t  900000 kB\nVmHWM:\t  204800 kB\nVmRSS:\t   10240 kB\n");
    ASSERT_TRUE(peak);
    EXPECT_EQ(peak->highest, 200_MiB);
    EXPECT_EQ(peak->now, 10_MiB);
    EXPECT_FALSE(parse_peak("Name:\tkthreadd\nThreads:\t1\n")) << "a kernel thread has no memory of its own";
}

TEST(limits, the_soft_limit_of_the_address_space_counts_and_unlimited_is_none) {
    constexpr std::string_view head =
        "Limit                     Soft Limit           Hard Limit           Units     \n"
        "Max data size             unlimited            unlimited            bytes     \n";
    const auto with = [&](std::string_view line) { return parse_address_space_limit(std::string(head).append(line)); };
    EXPECT_EQ(with("Max address space         629145600            1073741824           bytes     \n"), 600_MiB);
    EXPECT_FALSE(with("Max address space         unlimited            1073741824           bytes     \n"));
    EXPECT_FALSE(with("Max address space         "));
    EXPECT_FALSE(with(""));
}

TEST(limits, so_does_that_of_open_files) {
    EXPECT_EQ(
        parse_open_files_limit("Max open files            1024                 524288               files     \n"),
        1024);
    EXPECT_FALSE(
        parse_open_files_limit("Max open files            unlimited            unlimited            files     \n"));
    EXPECT_FALSE(
        parse_open_files_limit("Max address space         1024                 1024                 bytes     \n"));
}

TEST(statm, a_zombie_has_no_reading_rather_than_a_zero) { EXPECT_FALSE(parse_statm("0 0 0 0 0 0 0\n", 4096)); }

TEST(statm, anon_is_never_negative) { EXPECT_EQ(parse_statm("9 5 7 0 0 0 0\n", 4096)->anon(), Bytes{}); }

TEST(statm, what_is_no_number_is_no_reading) {
    for (const auto text : {"", "\n", "5000", "5000 10", "5000 x 4", "5000 -3 4", "5000 3 -4",
                            "1 99999999999999999999 4", "1 9223372036854775807 4", "5000 10x 4"})
        EXPECT_FALSE(parse_statm(text, 4096)) << text;
    EXPECT_FALSE(parse_statm("1 2 1", 0));
}

TEST(smaps_rollup, unique_is_what_is_private) {
    const auto read = parse_smaps_rollup(rollup);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->rss, Bytes{10000 << 10});
    EXPECT_EQ(read->pss, Bytes{4000 << 10});
    EXPECT_EQ(read->uss, Bytes{3000 << 10});
    EXPECT_EQ(read->swap, Bytes{12 << 10});
}

TEST(smaps_rollup, a_missing_line_is_no_zero) {
    EXPECT_FALSE(parse_smaps_rollup("Rss: 10 kB\nPss: 5 kB\nPrivate_Clean: 1 kB\nSwap: 0 kB\n"));
    EXPECT_FALSE(parse_smaps_rollup("Rss: 10\nPss: 5 kB\nPrivate_Clean: 1 kB\nPrivate_Dirty: 1 kB\nSwap: 0 kB\n"));
}

TEST(stat, a_name_with_blanks_and_parentheses_shifts_no_field) {
    for (const auto name : {"python3", "a b", "a) R 1 (b", ")", "((", ""}) {
        const auto text =
            "42 (" + std::string(name) +
            ") S 7 42 42 0 -1 4194560 100 0 0 0 31 17 0 0 20 0 3 0 123456 1000 200 18446744073709551615\n";
        const auto stat = parse_stat(text);
        ASSERT_TRUE(stat) << name;
        EXPECT_EQ(stat->state, 'S');
        EXPECT_EQ(stat->parent, 7);
        EXPECT_EQ(stat->user_ticks, 31U);
        EXPECT_EQ(stat->system_ticks, 17U);
        EXPECT_EQ(stat->threads, 3);
        EXPECT_EQ(stat->start_time, 123456U);
    }
}

TEST(stat, a_process_on_its_way_out_is_told_from_one_that_runs) {
    const auto ending = [](const std::string& state, const std::string& flags) {
        return parse_stat("7 (python3) " + state + " 1 7 7 0 -1 " + flags + " 0 0 0 0 31 17 0 0 20 0 3 0 123456 0 0")
            ->ending;
    };
    EXPECT_FALSE(ending("S", "4194560"));
    EXPECT_FALSE(ending("R", "0"));
    EXPECT_TRUE(ending("R", "4194308")) << "PF_EXITING";
    EXPECT_TRUE(ending("Z", "4194560"));
}

TEST(stat, a_truncated_line_is_no_reading) {
    for (const auto text :
         {"", "42", "42 (a", "42 (a)", "42 (a) S", "42 (a) SS 7 1", "42 (a) S 7 42 42 0 -1 4 100 0 0 0 31"})
        EXPECT_FALSE(parse_stat(text)) << text;
}

TEST(pressure, reads_both_lines) {
    const auto read = parse_pressure(pressure);
    ASSERT_TRUE(read);
    EXPECT_DOUBLE_EQ(read->some_avg10, 1.5);
    EXPECT_DOUBLE_EQ(read->some_avg60, 0.75);
    EXPECT_DOUBLE_EQ(read->full_avg10, 0.5);
    EXPECT_DOUBLE_EQ(read->full_avg60, 0.25);
}

TEST(pressure, one_line_or_no_number_is_no_reading) {
    EXPECT_FALSE(parse_pressure(pressure.substr(0, pressure.find("full"))));
    EXPECT_FALSE(parse_pressure("some avg10=nan avg60=0 avg300=0 total=0\nfull avg10=0 avg60=0 avg300=0 total=0\n"));
    EXPECT_FALSE(parse_pressure("some avg10= avg60=0\nfull avg10=0 avg60=0\n"));
}

TEST(meminfo, needs_total_and_available) {
    const auto host = parse_meminfo("MemTotal:  2000 kB\nMemFree:  10 kB\nMemAvailable:  900 kB\nBuffers: 1 kB\n");
    ASSERT_TRUE(host);
    EXPECT_EQ(host->total, Bytes{2000 << 10});
    EXPECT_EQ(host->available, Bytes{900 << 10});
    EXPECT_FALSE(parse_meminfo("MemTotal:  2000 kB\nMemFree:  10 kB\n"));
}

TEST(cgroup_paths, v1_v2_and_hybrid) {
    const auto v2 = parse_cgroup_paths("0::/system.slice/app.service\n");
    EXPECT_EQ(v2.unified, "/system.slice/app.service");
    EXPECT_FALSE(v2.memory_v1);

    const auto hybrid = parse_cgroup_paths("9:name=systemd:/x\n5:cpu,memory:/a:b\n3:cpuset:/\n0::/\n");
    EXPECT_EQ(hybrid.memory_v1, "/a:b");
    EXPECT_EQ(hybrid.controllers_v1, "cpu,memory");
    EXPECT_EQ(hybrid.unified, "/");
}

TEST(cgroup_paths, a_removed_cgroup_and_garbage_are_left_out) {
    const auto paths = parse_cgroup_paths("4:memory:/gone (deleted)\n0::relative\nx\n::\n:\n4:memory\n");
    EXPECT_FALSE(paths.memory_v1);
    EXPECT_FALSE(paths.unified);
}

TEST(limit, no_limit_is_unset) {
    EXPECT_EQ(parse_limit("1073741824\n"), 1_GiB);
    for (const auto text : {"max\n", "9223372036854771712\n", "9223372036854710272\n", "-1\n", "", "12x"})
        EXPECT_FALSE(parse_limit(text)) << text;
}

TEST(flat_key, wants_the_whole_key) {
    const auto text = "total_inactive_file 7\ninactive_file 5\noom_kill 2\n";
    EXPECT_EQ(parse_flat_key(text, "inactive_file"), 5U);
    EXPECT_EQ(parse_flat_key(text, "oom_kill"), 2U);
    EXPECT_FALSE(parse_flat_key(text, "oom"));
    EXPECT_FALSE(parse_flat_key("oom_kill", "oom_kill"));
}

// Whatever a file holds, a parser answers; under the sanitizers this also shows that none reads past its input.
TEST(parsers, survive_every_truncation_and_random_bytes) {
    const auto feed = [](std::string_view text) {
        const std::string exact(text); // on the heap, so that an overrun is seen
        const std::string_view view(exact.data(), exact.size());
        (void)parse_statm(view, 4096);
        (void)parse_smaps_rollup(view);
        (void)parse_stat(view);
        (void)parse_pressure(view);
        (void)parse_meminfo(view);
        (void)parse_cgroup_paths(view);
        (void)parse_limit(view);
        (void)parse_flat_key(view, "oom_kill");
    };
    const std::string texts[] = {
        std::string(rollup),         std::string(pressure),
        "5000 1000 400 1 0 900 0\n", "42 (a) S 7 42 42 0 -1 4194560 100 0 0 0 31 17 0 0 20 0 3 0 123456 1000\n",
        "4:memory:/a\n0::/b\n",      "MemTotal:  2000 kB\nMemAvailable:  900 kB\n"};
    std::mt19937 chance{7};
    for (const auto& text : texts) {
        for (std::size_t n = 0; n <= text.size(); ++n) feed(std::string_view(text).substr(0, n));
        for (int round = 0; round < 500; ++round) {
            auto mutated = text;
            for (int i = 0; i < 4; ++i) mutated[chance() % mutated.size()] = static_cast<char>(chance() % 256);
            feed(mutated);
        }
    }
}

} // namespace
} // namespace plimsoll::sense
