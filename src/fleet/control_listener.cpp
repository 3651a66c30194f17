#include "fleet/control_listener.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/address.hpp"
#include "net/heirlooms.hpp"

namespace plimsoll::fleet {
namespace {

constexpr int backlog = 1024; // a whole fleet dials at once after a restart

std::string reason(int error) { return std::strerror(error); }

// Makes the directories that are missing, 0755: workers of other users must get through.
std::string make_directory(const std::filesystem::path& directory) {
    if (directory.empty()) return {};
    std::error_code error;
    if (std::filesystem::is_directory(directory, error)) return {};
    if (const auto problem = make_directory(directory.parent_path()); !problem.empty()) return problem;
    if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
        return "cannot make the directory " + directory.string() + ": " + reason(errno) +
               " (make it, or choose another path in proxy.control)";
    ::chmod(directory.c_str(), 0755); // whatever the umask; it was made just now
    return {};
}

bool somebody_answers(const sockaddr_storage& address, socklen_t length) {
    const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    // A full backlog (EAGAIN) and a refusal for lack of rights (EACCES) come from somebody who lives.
    return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0 ||
           (errno != ECONNREFUSED && errno != ENOENT);
}

} // namespace

std::string ControlListener::open(const std::string& where) {
    if (where.rfind("tcp:", 0) == 0) return open_tcp(where);
    return open_unix(where.rfind("unix:", 0) == 0 ? where.substr(5) : where);
}

std::string ControlListener::open_unix(const std::string& path) {
    net::Address address{.family = net::Address::Family::unix_socket, .host = {}, .path = path};
    sockaddr_storage storage{};
    socklen_t length = 0;
    if (path.empty() || !net::to_sockaddr(address, storage, length))
        return "'" + path + "' cannot be a control socket: the path must have 1 to 107 bytes";
    if (auto problem = make_directory(std::filesystem::path(path).parent_path()); !problem.empty()) return problem;

    struct stat file {};
    Fd inherited(net::Heirlooms::inherited_one("control", path));
    if (inherited && ::stat(path.c_str(), &file) == 0) {
        keep(std::move(inherited), path, file);
        return {};
    }
    if (::lstat(path.c_str(), &file) == 0) {
        if (!S_ISSOCK(file.st_mode)) return path + " exists and is no socket: choose another path in proxy.control";
        if (somebody_answers(storage, length))
            return path + " is taken by another process: stop it, or choose another path in proxy.control";
        ::unlink(path.c_str()); // if that fails, bind says why
    }
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return "cannot open a socket: " + reason(errno);
    // The mode is set before anybody can connect: see peer.hpp for why everybody may.
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0 ||
        ::chmod(path.c_str(), 0666) != 0 || ::listen(fd.get(), backlog) != 0 || ::stat(path.c_str(), &file) != 0)
        return "cannot listen on " + path + ": " + reason(errno) +
               " (is its directory writable? proxy.control names another)";
    keep(std::move(fd), path, file);
    return {};
}

bool ControlListener::is_lost() const {
    struct stat file {};
    return !path_.empty() && ::lstat(path_.c_str(), &file) != 0 && errno == ENOENT &&
           !net::Heirlooms::of_this_process().passed_on();
}

void ControlListener::keep(Fd fd, const std::string& path, const struct stat& file) {
    fd_ = std::move(fd);
    family_ = AF_UNIX;
    path_ = path;
    address_ = "unix:" + path;
    device_ = file.st_dev;
    inode_ = file.st_ino;
    net::Heirlooms::of_this_process().forget("control", path); // that of a file that was lost
    net::Heirlooms::of_this_process().keep("control", path, {fd_.get()});
}

std::string ControlListener::open_tcp(const std::string& where) {
    const auto address = net::parse_address(where);
    sockaddr_storage storage{};
    socklen_t length = 0;
    if (!address || !net::to_sockaddr(*address, storage, length))
        return "'" + where + "' is no address to listen on: write tcp:HOST:PORT with a numeric host in proxy.control";
    Fd fd(net::Heirlooms::inherited_one("control", where));
    const bool inherited = static_cast<bool>(fd);
    if (!inherited) fd = Fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return "cannot open a socket for " + where + ": " + reason(errno);
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!inherited && (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0 ||
                       ::listen(fd.get(), backlog) != 0)) {
        if (errno == EADDRINUSE)
            return where + " is taken by another process: stop it, or choose another port in proxy.control";
        return "cannot listen on " + where + ": " + reason(errno) + " (see proxy.control)";
    }
    length = sizeof storage;
    if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&storage), &length) != 0)
        return "cannot listen on " + where + ": " + reason(errno);
    net::Address bound = *address;
    bound.port = ntohs(storage.ss_family == AF_INET ? reinterpret_cast<sockaddr_in&>(storage).sin_port
                                                    : reinterpret_cast<sockaddr_in6&>(storage).sin6_port);
    fd_ = std::move(fd);
    family_ = storage.ss_family;
    address_ = "tcp:" + net::to_string(bound);
    net::Heirlooms::of_this_process().keep("control", where, {fd_.get()});
    return {};
}

ControlListener::~ControlListener() {
    struct stat file {};
    // Another proxy may have taken the place over: then it is not ours to unlink.
    if (!path_.empty() && !net::Heirlooms::of_this_process().passed_on() && ::lstat(path_.c_str(), &file) == 0 &&
        file.st_dev == device_ && file.st_ino == inode_)
        ::unlink(path_.c_str());
}

} // namespace plimsoll::fleet
