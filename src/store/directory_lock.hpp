// One Plimsoll a directory: two would number their incidents alike and sweep each other's evidence. The kernel gives
// the lock back when the process ends, however it ends.
#pragma once

#include <string>

namespace plimsoll::store {

class DirectoryLock {
public:
    DirectoryLock() = default;
    ~DirectoryLock() { release(); }
    DirectoryLock(const DirectoryLock&) = delete;
    DirectoryLock& operator=(const DirectoryLock&) = delete;

    std::string take(const std::string& directory); // empty: held, now or already; else the line that says who holds it
    void release();

private:
    int fd_ = -1;
};

} // namespace plimsoll::store
