// Where a process's cgroup is, and what it says. Three things make this less simple than it looks:
// - hybrid hosts have memory under v1 and an empty v2 hierarchy beside it;
// - in a container without a cgroup namespace /proc/PID/cgroup names the *host's* path, while the mount shows only the
//   container's part of it: leading components are dropped until one exists, at the end the mount itself is the cgroup;
// - a v2 cgroup without the memory controller is charged to the nearest ancestor that has it.
#include "sense/memory.hpp"

#include <algorithm>

#include <sys/stat.h>

#include "sense/file.hpp"

namespace plimsoll::sense {
namespace {

bool is_directory(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

bool exists(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0;
}

// The cgroup's path below `mount`: "" is the mount itself. Nothing where it lies outside: "/../sibling" names a cgroup
// that a namespace hides, and the numbers of the mount would be somebody else's.
std::optional<std::string> below(const std::string& mount, std::string path) {
    if (path == "/..") return std::nullopt;
    if (path.starts_with("/../") || path.find("/../") != std::string::npos) return std::nullopt;
    while (!path.empty() && path != "/") {
        if (is_directory(mount + path)) return path;
        const auto next = path.find('/', 1);
        path = next == std::string::npos ? "" : path.substr(next);
    }
    return "";
}

std::optional<Bytes> number(const std::string& path) {
    const auto text = read_small_file(path);
    return text ? parse_limit(*text) : std::nullopt;
}

std::optional<std::uint64_t> flat_key(const std::string& path, std::string_view key) {
    const auto text = read_small_file(path);
    return text ? parse_flat_key(*text, key) : std::nullopt;
}

void tighten(Cgroup& cgroup, std::optional<Bytes> limit, const std::string& path) {
    if (!limit || (cgroup.limit && *limit >= *cgroup.limit)) return;
    cgroup.limit = limit;
    cgroup.limit_path = path;
}

std::optional<Bytes> working_set(std::optional<Bytes> usage, std::optional<std::uint64_t> inactive_file) {
    if (!usage || !inactive_file) return std::nullopt;
    const auto inactive = static_cast<std::int64_t>(std::min<std::uint64_t>(*inactive_file, 1ULL << 62));
    return Bytes{std::max<std::int64_t>(0, usage->count - inactive)};
}

std::optional<std::uint64_t> oom_kills_in(const Cgroup& cgroup) {
    const char* file = cgroup.version == Cgroup::Version::v1 ? "/memory.oom_control" : "/memory.events";
    return flat_key(cgroup.path + file, "oom_kill");
}

// Calls visit(directory) for the cgroup and each of its ancestors within the mount, until it says stop.
template <class Visit>
void upwards(const std::string& mount, std::string path, Visit visit) {
    for (;; path.resize(path.rfind('/'))) {
        visit(mount + path);
        if (path.empty()) return;
    }
}

std::optional<Cgroup> read_v1(const std::string& mount, const std::string& path) {
    Cgroup cgroup;
    cgroup.version = Cgroup::Version::v1;
    cgroup.path = mount + path;
    cgroup.usage = number(cgroup.path + "/memory.usage_in_bytes");
    const auto stat = read_small_file(cgroup.path + "/memory.stat").value_or("");
    auto inactive = parse_flat_key(stat, "total_inactive_file");
    if (!inactive) inactive = parse_flat_key(stat, "inactive_file");
    cgroup.working_set = working_set(cgroup.usage, inactive);
    upwards(mount, path, [&](const std::string& at) { tighten(cgroup, number(at + "/memory.limit_in_bytes"), at); });
    // The kernel's own minimum over the ancestors knows those above the mount, and whether they count at all.
    if (const auto text = parse_flat_key(stat, "hierarchical_memory_limit")) {
        const auto tightest = parse_limit(std::to_string(*text));
        // One above the mount: all in the mount share it.
        const bool hidden = tightest && (!cgroup.limit || *tightest < *cgroup.limit);
        const std::string& owner = hidden && number(mount + "/memory.usage_in_bytes") ? mount : cgroup.path;
        if (tightest != cgroup.limit) cgroup.limit_path = tightest ? owner : "";
        cgroup.limit = tightest;
    }
    cgroup.oom_kills = oom_kills_in(cgroup);
    if (!cgroup.usage && !cgroup.limit) return std::nullopt;
    return cgroup;
}

std::optional<Cgroup> read_v2(const std::string& mount, const std::string& path) {
    Cgroup cgroup;
    cgroup.version = Cgroup::Version::v2;
    upwards(mount, path, [&](const std::string& at) {
        tighten(cgroup, number(at + "/memory.max"), at);
        // Beyond it the kernel kills nobody, but holds everybody up until they have given memory back: it serves as little. One of
        // nothing is no limit to live under: that is written for a moment, to have memory taken back.
        if (const auto high = number(at + "/memory.high"); high && high->count > 0) tighten(cgroup, high, at);
        if (cgroup.usage) return;
        cgroup.usage = number(at + "/memory.current");
        if (cgroup.usage) cgroup.path = at;
    });
    if (!cgroup.usage) return std::nullopt; // the root of a host, or no memory controller: there is nothing to go by
    cgroup.working_set = working_set(cgroup.usage, flat_key(cgroup.path + "/memory.stat", "inactive_file"));
    cgroup.oom_kills = oom_kills_in(cgroup);
    return cgroup;
}

} // namespace

std::optional<Bytes> Reader::use_of_limit(const Cgroup& cgroup) const {
    const std::string& at = cgroup.limit_path;
    if (at.empty()) return std::nullopt;
    const bool v1 = cgroup.version == Cgroup::Version::v1;
    const auto usage = number(at + (v1 ? "/memory.usage_in_bytes" : "/memory.current"));
    const auto stat = read_small_file(at + "/memory.stat").value_or("");
    const auto inactive = parse_flat_key(stat, v1 ? "total_inactive_file" : "inactive_file");
    const auto active = parse_flat_key(stat, v1 ? "total_active_file" : "active_file");
    return inactive ? working_set(usage, *inactive + active.value_or(0)) : usage;
}

std::optional<std::uint64_t> Reader::oom_kills(const Cgroup& cgroup) const { return oom_kills_in(cgroup); }

std::optional<Cgroup> Reader::cgroup(int pid) const {
    const auto text = read_small_file(proc_ + "/" + std::to_string(pid) + "/cgroup");
    if (!text) return std::nullopt;
    const auto paths = parse_cgroup_paths(*text);

    if (paths.memory_v1) {
        auto mount = cgroup_ + "/memory";
        if (!is_directory(mount)) mount = cgroup_ + "/" + paths.controllers_v1;
        if (is_directory(mount)) {
            const auto path = below(mount, *paths.memory_v1);
            return path ? read_v1(mount, *path) : std::nullopt;
        }
    }
    if (!paths.unified) return std::nullopt;
    const auto mount = exists(cgroup_ + "/cgroup.controllers") ? cgroup_ : cgroup_ + "/unified";
    const auto path = below(mount, *paths.unified);
    return path ? read_v2(mount, *path) : std::nullopt;
}

} // namespace plimsoll::sense
