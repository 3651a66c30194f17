#include "fleet/peer.hpp"

#include <cstdint>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fleet/process_tree.hpp"
#include "sense/memory.hpp"

namespace plimsoll::fleet {
namespace {

// The length may show, the content may not.
bool equal_in_constant_time(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    unsigned char difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
    return difference == 0;
}

// The pid is the one that dialled. It may have gone and its number may be somebody else's by now, so the process that
// has it must run as the user who dialled; whoever can forge that could take the worker over anyhow.
bool is_descendant_of_ours(const Peer& peer) {
    struct stat process {};
    const std::string directory = "/proc/" + std::to_string(peer.pid);
    if (peer.pid <= 0 || ::stat(directory.c_str(), &process) != 0 || process.st_uid != peer.uid) return false;
    return descends_from(peer.pid, ::getpid());
}

// Numeric host of an address, IPv4 in IPv6 as IPv4; empty for unix sockets.
std::string host_of(const sockaddr_storage& address) {
    char text[INET6_ADDRSTRLEN] = {};
    if (address.ss_family == AF_INET) {
        inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, text, sizeof text);
    } else if (address.ss_family == AF_INET6) {
        const in6_addr& v6 = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(&v6))
            inet_ntop(AF_INET, &v6.s6_addr[12], text, sizeof text);
        else
            inet_ntop(AF_INET6, &v6, text, sizeof text);
    }
    return text;
}

} // namespace

Peer peer_of(int socket) {
    Peer peer;
    sockaddr_storage ours{}, theirs{};
    socklen_t length = sizeof ours;
    if (::getsockname(socket, reinterpret_cast<sockaddr*>(&ours), &length) != 0) return peer;
    if (ours.ss_family == AF_UNIX) {
        ucred credentials{};
        length = sizeof credentials;
        if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0) {
            peer.pid = credentials.pid;
            peer.uid = credentials.uid;
        }
        peer.name = "pid " + std::to_string(peer.pid) + " of uid " + std::to_string(peer.uid);
        return peer;
    }
    peer.tcp = true;
    peer.same_host = false;
    length = sizeof theirs;
    if (::getpeername(socket, reinterpret_cast<sockaddr*>(&theirs), &length) != 0) return peer;
    const std::string host = host_of(theirs);
    peer.same_host = host == host_of(ours); // a loopback peer has a loopback address on both ends
    const auto port = theirs.ss_family == AF_INET ? reinterpret_cast<sockaddr_in&>(theirs).sin_port
                                                  : reinterpret_cast<sockaddr_in6&>(theirs).sin6_port;
    peer.name = host + ":" + std::to_string(ntohs(port));
    return peer;
}

std::string why_not_admitted(const Peer& peer, std::string_view shown, std::string_view wanted) {
    if (!wanted.empty() && equal_in_constant_time(shown, wanted)) return {};
    if (peer.tcp)
        return shown.empty() ? "no token: set PLIMSOLL_TOKEN to what proxy.token says"
                             : "wrong token: PLIMSOLL_TOKEN is not what proxy.token says";
    if (peer.uid == 0 || peer.uid == ::geteuid() || is_descendant_of_ours(peer)) return {};
    return "uid " + std::to_string(peer.uid) + " is neither root nor the proxy's own user (" +
           std::to_string(::geteuid()) + "): set PLIMSOLL_TOKEN to what proxy.token says";
}

bool same_pids(const Peer& peer, int pid, int parent, std::uint64_t pid_namespace) {
    if (pid_namespace == 0 || pid_namespace != own_pid_namespace() || !peer.same_host) return false;
    if (!peer.tcp && peer.pid != pid) return false;
    const auto stat = sense::Reader().stat(pid);
    return stat && (parent == 0 || stat->parent == parent);
}

std::uint64_t own_pid_namespace() {
    struct stat file {};
    return ::stat("/proc/self/ns/pid", &file) == 0 ? file.st_ino : 0;
}

} // namespace plimsoll::fleet
