#include "sense/memory.hpp"

#include "sense/file.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace plimsoll::sense {

// Files of /proc have no size to ask for: read until the end, but never more than the bound.
std::optional<std::string> read_small_file(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return std::nullopt;
    std::string text;
    char block[4096];
    bool whole = false;
    while (text.size() < most_read) {
        const auto n = ::read(fd, block, sizeof block);
        if (n < 0 && errno == EINTR) continue;
        whole = n == 0;
        if (n <= 0) break;
        text.append(block, static_cast<std::size_t>(n));
    }
    ::close(fd);
    if (!whole) return std::nullopt; // the process went away in between, or this is no such file
    return text;
}

Reader::Reader(std::string proc_root, std::string cgroup_root)
    : proc_(std::move(proc_root)), cgroup_(std::move(cgroup_root)) {}

std::optional<Statm> Reader::statm(int pid) const {
    static const long page_size = ::sysconf(_SC_PAGESIZE);
    const auto text = read_small_file(proc_ + "/" + std::to_string(pid) + "/statm");
    return text ? parse_statm(*text, page_size) : std::nullopt;
}

std::optional<Rollup> Reader::smaps_rollup(int pid) const {
    const auto text = read_small_file(proc_ + "/" + std::to_string(pid) + "/smaps_rollup");
    return text ? parse_smaps_rollup(*text) : std::nullopt;
}

std::optional<ProcessStat> Reader::stat(int pid) const {
    const auto text = read_small_file(proc_ + "/" + std::to_string(pid) + "/stat");
    return text ? parse_stat(*text) : std::nullopt;
}

std::optional<Peak> Reader::peak(int pid) const {
    const auto text = read_small_file(proc_ + "/" + std::to_string(pid) + "/status");
    return text ? parse_peak(*text) : std::nullopt;
}

bool Reader::reset_peak(int pid) const {
    const int fd = ::open((proc_ + "/" + std::to_string(pid) + "/clear_refs").c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    const bool done = ::write(fd, "5", 1) == 1;
    ::close(fd);
    return done;
}

std::optional<Bytes> Reader::address_space_limit(int pid) const {
    const auto text = read_small_file(proc_ + "/" + std::to_string(pid) + "/limits");
    return text ? parse_address_space_limit(*text) : std::nullopt;
}

namespace {

// Entries of a folder; unset where it may not be listed.
std::optional<std::int64_t> entries_of(const std::string& folder) {
    std::error_code bad;
    std::int64_t count = 0;
    for (std::filesystem::directory_iterator entry(folder, bad), end; !bad && entry != end; entry.increment(bad))
        ++count;
    return bad ? std::nullopt : std::optional(count);
}

// Of all its threads, as each has a list of its own; unset on kernels without the lists.
std::optional<std::int64_t> children_of(const std::string& process) {
    std::error_code bad;
    std::int64_t count = 0;
    for (std::filesystem::directory_iterator entry(process + "/task", bad), end; !bad && entry != end;
         entry.increment(bad)) {
        const auto text = read_small_file(entry->path().string() + "/children");
        if (!text) return std::nullopt;
        count += std::count(text->begin(), text->end(), ' ');
    }
    return bad ? std::nullopt : std::optional(count);
}

} // namespace

Opened Reader::opened(int pid) const {
    const std::string process = proc_ + "/" + std::to_string(pid);
    Opened found;
    found.descriptors = entries_of(process + "/fd");
    found.threads = entries_of(process + "/task");
    found.children = children_of(process);
    if (const auto text = read_small_file(process + "/limits")) found.most_descriptors = parse_open_files_limit(*text);
    return found;
}

std::optional<Host> Reader::host() const {
    const auto text = read_small_file(proc_ + "/meminfo");
    return text ? parse_meminfo(*text) : std::nullopt;
}

std::optional<Pressure> Reader::pressure() const {
    const auto text = read_small_file(proc_ + "/pressure/memory");
    return text ? parse_pressure(*text) : std::nullopt;
}

std::optional<Pressure> Reader::pressure(const Cgroup& cgroup) const {
    if (cgroup.version != Cgroup::Version::v2) return std::nullopt;
    const auto text = read_small_file(cgroup.path + "/memory.pressure");
    return text ? parse_pressure(*text) : std::nullopt;
}

} // namespace plimsoll::sense
