#include "admin/listen.hpp"

#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/heirlooms.hpp"

namespace plimsoll::admin {
namespace {

// Left behind by a Plimsoll that was killed: nobody answers. A file that is no socket answers as little, and is not ours.
bool is_stale(const std::string& path, const sockaddr_storage& where, socklen_t length) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
    const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0) return false;
    const bool refused =
        ::connect(probe, reinterpret_cast<const sockaddr*>(&where), length) != 0 && errno == ECONNREFUSED;
    ::close(probe);
    return refused;
}

net::Address bound_address(int fd, net::Address address) {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    if (address.family == net::Address::Family::unix_socket) return address;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) ==
        0) // both families keep the port at the same place
        address.port = ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
    return address;
}

std::string mend(int error, const net::Address& address) {
    const bool is_unix = address.family == net::Address::Family::unix_socket;
    const auto text = net::to_string(address);
    switch (error) {
    case EADDRINUSE: return text + " is taken by another process: stop it, or choose another [admin] listen";
    case EACCES:
        return text + ": no permission: " +
               (is_unix ? "choose a directory that this user may write" : "choose a port above 1023");
    case ENOENT: return text + ": its directory does not exist: create it, or choose another [admin] listen";
    case EADDRNOTAVAIL: return text + " is no address of this host: choose another [admin] listen";
    default: return text + ": " + std::strerror(error);
    }
}

} // namespace

Listening listen_at(const std::string& text, bool has_token) {
    const auto failed = [](std::string problem) { return Listening{-1, {}, std::move(problem)}; };
    auto parsed = net::parse_address(text);
    if (!parsed) return failed("[admin] listen = \"" + text + "\" is no address: use HOST:PORT or unix:/path");
    auto address = *parsed;
    if (!has_token && !net::is_loopback(address))
        return failed("[admin] listen = \"" + text +
                      "\" can be reached from other hosts: set [admin] token or token_file, or listen on 127.0.0.1 or "
                      "a unix socket");
    if (address.host == "localhost") address.host = "127.0.0.1";

    sockaddr_storage storage{};
    socklen_t length = 0;
    if (!net::to_sockaddr(address, storage, length))
        return failed("[admin] listen = \"" + text + "\": give the address as numbers, names are not looked up");
    auto& heirlooms = net::Heirlooms::of_this_process();
    if (const int inherited = net::Heirlooms::inherited_one("admin", text); inherited >= 0) {
        heirlooms.keep("admin", text, {inherited});
        return {inherited, bound_address(inherited, address), {}};
    }
    const int fd = ::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return failed(text + ": " + std::strerror(errno));
    const bool is_unix = address.family == net::Address::Family::unix_socket;
    const int yes = 1;
    if (is_unix)
        ::fchmod(fd, 0600); // before bind: Linux makes the file with the socket's mode, so it is never open to others
    else
        ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);

    const auto* where = reinterpret_cast<const sockaddr*>(&storage);
    int error = ::bind(fd, where, length) == 0 ? 0 : errno;
    if (error == EADDRINUSE && is_unix && is_stale(address.path, storage, length)) {
        ::unlink(address.path.c_str());
        error = ::bind(fd, where, length) == 0 ? 0 : errno;
    }
    if (error == 0 && ::listen(fd, 128) != 0) error = errno;
    if (error != 0) {
        ::close(fd);
        return failed(mend(error, address));
    }
    heirlooms.keep("admin", text, {fd});
    return {fd, bound_address(fd, address), {}};
}

} // namespace plimsoll::admin
