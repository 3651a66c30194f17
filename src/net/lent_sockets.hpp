// Listening sockets that a supervisor opened and lends us (systemd's socket units, LISTEN_FDS): it keeps them open while we come
// and go, so that whoever connects meanwhile waits in their queues instead of being refused.
//
//   LISTEN_PID, LISTEN_FDS --inherit()--> one a descriptor from 3 on
//                                         find(): a [[listener]] of that very address accepts there instead of opening its own
//   text(), all()          --exec-------> inherit() of a successor (heirlooms.hpp)
//
// We accept from copies and never close what was lent, so an address may go and come back with a reload. The file of a unix socket,
// its mode and its owner are the supervisor's.
//
// One for a process, since descriptors are a process's. Control thread only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace plimsoll::net {

class LentSockets {
public:
    static LentSockets& of_this_process();
    static constexpr const char* variable = "PLIMSOLL_LENT_SOCKETS"; // from a predecessor: descriptors

    void inherit(); // and removes the variables: no worker shall think that they are meant for it
    int find(std::string_view address) const;                // -1: none is bound to just that
    std::string overlapping(std::string_view address) const; // the address of one that has clients of that; or empty
    std::vector<std::string> addresses() const;

    std::string text() const;
    std::vector<int> all() const;

private:
    struct Lent {
        std::string address;
        int fd = -1;
    };
    void take(int fd);
    std::vector<Lent> lent_;
};

} // namespace plimsoll::net
