// Where agents dial: a unix socket or a TCP port, opened with plain system calls.
//
// A unix socket's file outlives a proxy that was killed. So a file that nobody answers on is replaced, and one that
// somebody does is left alone. It may also be deleted under a proxy that lives (whoever cleans a directory up): then no agent
// can dial any more, and it is opened again.
#pragma once

#include <string>

#include <sys/stat.h>
#include <sys/types.h>

#include "fleet/fd.hpp"

namespace plimsoll::fleet {

class ControlListener {
public:
    // Empty: listening, without blocking. Else the one line that says what is wrong and how to mend it.
    std::string open(const std::string& where);
    bool is_lost() const;                                 // its file has been deleted
    std::string open_again() { return open_unix(path_); } // as open(); to be released anew
    int release() { return fd_.release(); }               // to the acceptor; the file stays this object's
    int family() const { return family_; }
    const std::string& address() const { return address_; } // as PLIMSOLL_CONTROL takes it; port 0 is resolved

    ControlListener() = default;
    ControlListener(const ControlListener&) = delete;
    ControlListener& operator=(const ControlListener&) = delete;
    ~ControlListener(); // unlinks the file, if it is still ours

private:
    std::string open_unix(const std::string& path);
    std::string open_tcp(const std::string& where);
    void keep(Fd fd, const std::string& path, const struct stat& file);

    Fd fd_;
    int family_ = 0;
    std::string address_, path_;
    dev_t device_ = 0;
    ino_t inode_ = 0;
};

} // namespace plimsoll::fleet
