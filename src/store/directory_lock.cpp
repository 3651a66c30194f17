#include "store/directory_lock.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace plimsoll::store {

std::string DirectoryLock::take(const std::string& directory) {
    if (fd_ >= 0) return {};
    const auto path = directory + "/lock";
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd_ < 0) return path + ": " + std::strerror(errno);
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
        char owner[16] = {};
        const auto n = ::pread(fd_, owner, sizeof owner - 1, 0);
        release();
        return directory + " is in use by another Plimsoll (pid " +
               (n > 0 ? std::string(owner, std::strcspn(owner, "\n")) : "unknown") + "): choose another [store] path";
    }
    // Who holds it is told to the next one that asks; on a full disk it is only less well told.
    const auto pid = std::to_string(::getpid()) + "\n";
    if (::ftruncate(fd_, 0) == 0) (void)!::pwrite(fd_, pid.data(), pid.size(), 0);
    return {};
}

void DirectoryLock::release() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
}

} // namespace plimsoll::store
