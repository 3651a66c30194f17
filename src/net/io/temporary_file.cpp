#include <cstdlib>
#include <string>

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "net/io/descriptors.hpp"
#include "net/io/spool.hpp"

namespace plimsoll::net::io {

namespace {

std::string& directory() {
    static std::string path;
    return path;
}

// A file system with less is passed over where another one has more: a state directory that evidence has filled must not
// cost requests.
constexpr unsigned long long least_room = 64ULL << 20;

bool has_room(int fd) {
    struct statvfs system {};
    return ::fstatvfs(fd, &system) != 0 || system.f_bavail * 1ULL * system.f_frsize >= least_room;
}

int open_in(const std::string& path) {
    const int fd = ::open(path.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) return fd;
    // Not every file system has O_TMPFILE (some overlays): a name that is gone at once does as well.
    std::string name = path + "/plimsoll-XXXXXX";
    const int named = ::mkostemp(name.data(), O_CLOEXEC);
    if (named >= 0) ::unlink(name.c_str());
    return named;
}

} // namespace

void use_directory(const char* path) { directory() = path; }

namespace {

int open_somewhere() {
    const char* chosen = std::getenv("TMPDIR");
    // /tmp may be memory, which is what is to be spared: so it comes last.
    const std::string places[] = {directory(), chosen ? chosen : "", "/var/tmp", "/tmp"};
    int cramped = -1; // better than nothing
    for (const std::string& path : places) {
        const int fd = path.empty() ? -1 : open_in(path);
        if (fd < 0) continue;
        if (has_room(fd)) {
            if (cramped >= 0) ::close(cramped);
            return fd;
        }
        if (cramped < 0)
            cramped = fd;
        else
            ::close(fd);
    }
    return cramped;
}

} // namespace

int open_temporary_file() { return spare_the_reserve(open_somewhere()); }

} // namespace plimsoll::net::io
