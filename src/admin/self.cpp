#include "admin/self.hpp"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sense/memory.hpp"

namespace plimsoll::admin {
namespace {

std::optional<std::uint64_t> open_files() {
    DIR* directory = ::opendir("/proc/self/fd");
    if (directory == nullptr) return std::nullopt;
    std::uint64_t count = 0;
    while (const auto* entry = ::readdir(directory))
        if (entry->d_name[0] != '.') ++count;
    ::closedir(directory);
    return count - 1; // without the one that lists them
}

double seconds(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

} // namespace

Self read_self() {
    static const sense::Reader reader;
    Self self;
    if (const auto statm = reader.statm(::getpid())) self.rss = statm->rss;
    if (const auto stat = reader.stat(::getpid())) self.threads = static_cast<std::uint64_t>(stat->threads);
    self.open_files = open_files();
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) self.max_files = limit.rlim_cur;
    rusage usage{};
    if (::getrusage(RUSAGE_SELF, &usage) == 0) self.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    return self;
}

} // namespace plimsoll::admin
