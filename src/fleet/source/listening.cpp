#include "fleet/source/listening.hpp"

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include <fcntl.h>
#include <sys/socket.h>

#include "fleet/fd.hpp"

namespace plimsoll::fleet {

namespace {

constexpr const char* listening = "0A";       // TCP_LISTEN in the state column
constexpr const char* accepting = "00010000"; // __SO_ACCEPTCON in the flags of a unix socket

std::string plain(const std::string& path) { return std::filesystem::path(path).lexically_normal().string(); }

std::string link_of(const std::string& inode) { return "socket:[" + inode + "]"; }

// Both as /proc/PID/fd shows them, of the process's network namespace.
std::set<std::string> unix_listeners(int pid, const std::string& path) {
    std::set<std::string> inodes;
    std::ifstream in("/proc/" + std::to_string(pid) + "/net/unix");
    std::string line;
    std::getline(in, line); // the names of the columns
    while (std::getline(in, line)) {
        std::istringstream columns(line);
        std::string number, references, protocol, flags, type, state, inode, at;
        columns >> number >> references >> protocol >> flags >> type >> state >> inode;
        std::getline(columns >> std::ws, at);
        if (flags == accepting && plain(at) == plain(path)) inodes.insert(link_of(inode));
    }
    return inodes;
}

std::set<std::string> tcp_listeners(int pid, std::uint16_t port) {
    std::set<std::string> inodes;
    for (const char* table : {"tcp", "tcp6"}) {
        std::ifstream in("/proc/" + std::to_string(pid) + "/net/" + table);
        std::string line;
        std::getline(in, line); // the names of the columns
        while (std::getline(in, line)) {
            std::istringstream columns(line);
            std::string number, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
            columns >> number >> local >> remote >> state >> queues >> timer >> retransmits >> uid >> timeout >> inode;
            const auto colon = local.rfind(':');
            if (state != listening || colon == std::string::npos) continue;
            if (std::strtoul(local.c_str() + colon + 1, nullptr, 16) == port) inodes.insert(link_of(inode));
        }
    }
    return inodes;
}

std::set<std::string> inodes_of(int pid, const net::Address& address) {
    return address.family == net::Address::Family::tcp ? tcp_listeners(pid, address.port)
                                                       : unix_listeners(pid, address.path);
}

// Nothing: its descriptors may not be looked at.
std::optional<bool> holds(int pid, const std::set<std::string>& inodes) {
    if (inodes.empty()) return false;
    bool seen = true;
    std::error_code ec;
    std::filesystem::directory_iterator fd("/proc/" + std::to_string(pid) + "/fd", ec);
    if (ec) return std::nullopt;
    for (const std::filesystem::directory_iterator end; !ec && fd != end; fd.increment(ec)) {
        std::error_code failed; // a descriptor may be closed between the listing and the look
        if (inodes.contains(std::filesystem::read_symlink(fd->path(), failed).string())) return true;
        seen = seen && failed != std::errc::permission_denied;
    }
    return seen ? std::optional(false) : std::nullopt;
}

} // namespace

std::optional<int> listener_pid(const net::Address& address) {
    sockaddr_storage storage{};
    socklen_t length = 0;
    if (address.family != net::Address::Family::unix_socket || !net::to_sockaddr(address, storage, length))
        return std::nullopt;
    const Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd || ::connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), length) != 0) return std::nullopt;
    ucred credentials{};
    length = sizeof credentials;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0 || credentials.pid <= 0)
        return std::nullopt;
    return credentials.pid;
}

bool listens_on(int pid, const net::Address& address) {
    const auto inodes = inodes_of(pid, address);
    return holds(pid, inodes).value_or(false) || listener_pid(address) == pid;
}

std::vector<int> listeners_among(std::vector<int> pids, const net::Address& address) {
    if (pids.empty()) return pids;
    const auto inodes = inodes_of(pids.front(), address);
    if (inodes.empty() && listener_pid(address)) return pids; // its path has another name there
    std::erase_if(pids, [&](int pid) { return !holds(pid, inodes).value_or(true); });
    return pids;
}

} // namespace plimsoll::fleet
