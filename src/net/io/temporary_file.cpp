#include <cstdlib>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include "net/io/spool.hpp"

namespace plimsoll::net::io {

namespace {

std::string& directory() {
    static std::string path;
    return path;
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

int open_temporary_file() {
    if (!directory().empty()) {
        const int fd = open_in(directory());
        if (fd >= 0) return fd;
    }
    const char* chosen = std::getenv("TMPDIR");
    if (chosen && *chosen) {
        const int fd = open_in(chosen);
        if (fd >= 0) return fd;
    }
    // /tmp may be memory, which is what is to be spared: so it comes last.
    for (const char* path : {"/var/tmp", "/tmp"}) {
        const int fd = open_in(path);
        if (fd >= 0) return fd;
    }
    return -1;
}

} // namespace plimsoll::net::io
