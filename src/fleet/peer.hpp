// Who is at the other end of a control connection, and may they join?
//
// Whoever joins gets users' requests, so it is no matter of who can reach the socket. Its file has mode 0666: a worker
// that dropped its privileges (gunicorn started by root with user = www-data) must be able to dial. The kernel then
// says who dials (SO_PEERCRED), and a peer may join when one of these holds:
//
//   it runs as root or as our own user
//   it is a descendant of ours: a server that Plimsoll started, whatever user its workers became
//   it shows the token (proxy.token here, PLIMSOLL_TOKEN there); over TCP nothing else counts
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace plimsoll::fleet {

struct Peer {
    bool tcp = false;
    int pid = 0; // unix: in our pid namespace; 0: not visible there, or TCP
    uid_t uid = static_cast<uid_t>(-1);
    bool same_host = true; // TCP: the address it comes from is one of ours
    std::string name;      // for the log: "pid 123 of uid 33", "10.0.0.2:51234"
};
Peer peer_of(int socket);

// Empty: it may. Else the one line that says why not, and how to mend it. The token is compared in constant time.
std::string why_not_admitted(const Peer& peer, std::string_view shown, std::string_view wanted);

// A pid in a hello means the same process here if it was said in our pid namespace, on this host (the first namespace
// has the same inode on every host), by the process that dialled, and our /proc agrees about its parent.
bool same_pids(const Peer& peer, int pid, int parent, std::uint64_t pid_namespace);
std::uint64_t own_pid_namespace();

} // namespace plimsoll::fleet
