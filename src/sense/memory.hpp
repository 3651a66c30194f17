// Memory as the kernel tells it: pure parsers of /proc and cgroup files, and one thin reader. Numbers that cannot be
// had are unset, never zero: another user's process, a pid of another namespace, a cgroup without a limit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "plimsoll/core/bytes.hpp"

namespace plimsoll::sense {

// /proc/PID/statm: 17 us a reading, so this is the fast one.
struct Statm {
    Bytes rss, shared, size;                    // size: of the address space, what RLIMIT_AS counts
    Bytes anon() const { return rss - shared; } // what a leak grows
};
std::optional<Statm> parse_statm(std::string_view text, long page_size);
// /proc/PID/smaps_rollup: 20 ms per GiB, holds the process's mmap lock: rarely, and never on the control thread.
struct Rollup {
    Bytes rss, pss, uss, swap;
};
std::optional<Rollup> parse_smaps_rollup(std::string_view text);

// /proc/PID/status: the most that was resident (VmHWM) since reset_peak(), and what is (VmRSS).
struct Peak {
    Bytes highest, now;
};
std::optional<Peak> parse_peak(std::string_view text);

// The soft limit of "Max address space" in /proc/PID/limits (RLIMIT_AS, `ulimit -v`); unset: unlimited.
std::optional<Bytes> parse_address_space_limit(std::string_view text);

// What a process has open or running: descriptors, threads, child processes (zombies too), and how many descriptors it may have.
struct Opened {
    std::optional<std::int64_t> descriptors, threads, children, most_descriptors;
};
// The soft limit of "Max open files" in /proc/PID/limits; unset: unlimited.
std::optional<std::int64_t> parse_open_files_limit(std::string_view text);

struct ProcessStat { // /proc/PID/stat
    char state = '?';
    bool ending = false; // it is on its way out (its descriptors are still being closed), or a zombie
    int parent = 0;
    std::uint64_t start_time = 0; // clock ticks since boot
    std::uint64_t user_ticks = 0, system_ticks = 0;
    int threads = 0;
};
std::optional<ProcessStat> parse_stat(std::string_view text);

// /proc/PID/cgroup: where the process is in the hierarchy of v1's memory controller, and in v2's. A hybrid host has
// both.
struct CgroupPaths {
    std::optional<std::string> memory_v1, unified;
    std::string controllers_v1; // as mounted together: "memory", "cpu,memory"
};
CgroupPaths parse_cgroup_paths(std::string_view text);
std::optional<Bytes> parse_limit(std::string_view text); // unset: "max", v1's huge "no limit", or no number
// The number beside `key` in memory.stat, memory.events or memory.oom_control: "inactive_file 4096".
std::optional<std::uint64_t> parse_flat_key(std::string_view text, std::string_view key);

struct Cgroup {
    enum class Version : std::uint8_t { v1, v2 } version = Version::v2;
    std::string path;                 // directory that was read
    std::optional<Bytes> usage;       // of that cgroup
    std::optional<Bytes> limit;       // the tightest of it and its ancestors
    std::string limit_path;           // whose limit that is: what it allows is shared by all below it
    std::optional<Bytes> working_set; // usage without inactive file pages
    std::optional<std::uint64_t> oom_kills;
};
struct Pressure { // PSI: /proc/pressure/memory or a cgroup's memory.pressure
    double some_avg10 = 0, some_avg60 = 0, full_avg10 = 0, full_avg60 = 0; // percent
};
std::optional<Pressure> parse_pressure(std::string_view text);
struct Host {
    Bytes total, available;
};
std::optional<Host> parse_meminfo(std::string_view text);

// Reads under two roots, so that a test can give it a tree of its own.
class Reader {
public:
    explicit Reader(std::string proc_root = "/proc", std::string cgroup_root = "/sys/fs/cgroup");
    std::optional<Statm> statm(int pid) const;
    std::optional<Rollup> smaps_rollup(int pid) const;
    std::optional<ProcessStat> stat(int pid) const;
    std::optional<Peak> peak(int pid) const;
    bool reset_peak(int pid) const; // 40 us; false: not ours to do
    std::optional<Bytes> address_space_limit(int pid) const;
    // Lists folders of /proc: some microseconds for each descriptor and thread, so not on the control thread.
    Opened opened(int pid) const;
    std::optional<Cgroup> cgroup(int pid) const; // of the process; v2, v1 and hybrid hierarchies
    // What counts against the limit that a cgroup lives under, by now: less the file pages, all of which the kernel drops before
    // it kills. (tmpfs and shared memory are none of them.)
    std::optional<Bytes> use_of_limit(const Cgroup& cgroup) const;
    // Out-of-memory kills in it by now: the process that was seen there may be one of them.
    std::optional<std::uint64_t> oom_kills(const Cgroup& cgroup) const;
    std::optional<Host> host() const;
    std::optional<Pressure> pressure() const;                     // of the host; not every kernel tells
    std::optional<Pressure> pressure(const Cgroup& cgroup) const; // v2 alone

private:
    std::string proc_, cgroup_;
};

} // namespace plimsoll::sense
