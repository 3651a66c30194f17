#include "net/listener.hpp"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log/log.hpp"
#include "net/heirlooms.hpp"
#include "net/io/descriptors.hpp"
#include "net/io/handshakes.hpp"
#include "net/lent_sockets.hpp"
#include "net/reactor.hpp"
#include "net/session.hpp"

namespace plimsoll::net {

namespace {

constexpr int accepts_a_batch = 64;
constexpr int most_refused_reads = 16; // of a client that is refused: it may send for ever
constexpr auto pause_without_descriptors = std::chrono::milliseconds{100};
constexpr auto tell_pauses_every = std::chrono::seconds{10};
constexpr int defer_seconds = 1;
// Who was deferred is told so by the kernel's timer, a second after he came, and answers within a round trip.
constexpr auto longest_leave = std::chrono::milliseconds{1'250};
constexpr auto next_look = std::chrono::milliseconds{20};

constexpr std::string_view max_connections_answer =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\nRetry-After: 1\r\n"
    "X-Plimsoll-Reason: max_connections\r\n\r\n";

constexpr std::string_view cannot_listen = "cannot listen",
                           cannot_set_mode = "cannot set the socket's mode (socket_mode)";

std::string why(int error, const Address& address, const std::string& text, std::string_view failed = cannot_listen) {
    if (failed == cannot_set_mode) return text + ": " + std::string(failed) + ": " + std::strerror(error);
    switch (error) {
    case EADDRINUSE:
        return text + " is taken by another process: choose another address or stop that process (ss -ltnp shows it)";
    case EACCES:
        if (address.family == Address::Family::unix_socket)
            return text + ": no permission to make a socket there: choose a directory that this user may write to";
        return text + ": no permission to bind this port: choose one from 1024 on, or grant CAP_NET_BIND_SERVICE";
    case EADDRNOTAVAIL: return text + ": this machine has no such address: use one of its own, or 0.0.0.0 for all";
    case ENOENT:
    case ENOTDIR: return text + ": the directory of the socket does not exist: make it first";
    default: return text + ": " + std::string(failed) + ": " + std::strerror(error);
    }
}

// inet_ntop() goes through printf, which a client that comes for one request would feel.
std::string dotted(const std::uint8_t* bytes) {
    std::string text; // at most 15 characters: kept in place
    for (int i = 0; i < 4; ++i) {
        if (i > 0) text += '.';
        char digits[3];
        text.append(digits, std::to_chars(digits, digits + sizeof digits, bytes[i]).ptr);
    }
    return text;
}

// A socket file that nobody listens on is left over from a crash and may go. One that answers may not.
bool remove_stale(const sockaddr_storage& storage, socklen_t length, const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return true;
    if (!S_ISSOCK(info.st_mode)) return false;
    const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe < 0) return false;
    const bool refused =
        ::connect(probe, reinterpret_cast<const sockaddr*>(&storage), length) != 0 && errno == ECONNREFUSED;
    ::close(probe);
    return refused && ::unlink(path.c_str()) == 0;
}

// Whatever the umask: a server in front that is of another user has to get through. Between bind and listen nobody can have
// connected yet.
bool set_mode(const sockaddr_storage& storage, unsigned mode) {
    return storage.ss_family != AF_UNIX ||
           ::chmod(reinterpret_cast<const sockaddr_un&>(storage).sun_path, static_cast<mode_t>(mode)) == 0;
}

// -1: `failed` is what could not be done.
int make_socket(const sockaddr_storage& storage, socklen_t length, bool reuse_port, unsigned socket_mode,
                std::string_view& failed) {
    failed = cannot_listen;
    const int fd = ::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    const int on = 1;
    if (storage.ss_family != AF_UNIX) {
        ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // inherited by what is accepted
        ::setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer_seconds, sizeof defer_seconds);
        if (reuse_port) ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
        if (storage.ss_family == AF_INET6) {
            // "[::]" serves both families, as operators expect, but for IPv4 clients where an IPv4 listener has the port too:
            // they are that one's, whichever came first. So it may come and go with a reload.
            const int off = 0;
            ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        }
    }
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&storage), length) == 0) {
        const bool has_mode = set_mode(storage, socket_mode);
        if (has_mode && ::listen(fd, SOMAXCONN) == 0) return fd;
        if (!has_mode) failed = cannot_set_mode;
    }
    const int error = errno;
    if (failed == cannot_set_mode) ::unlink(reinterpret_cast<const sockaddr_un&>(storage).sun_path);
    ::close(fd);
    errno = error;
    return -1;
}

std::uint16_t port_of(const sockaddr_storage& address) { // 0: a unix socket
    switch (address.ss_family) {
    case AF_INET: return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
    case AF_INET6: return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
    default: return 0;
    }
}

// One socket that all reactors watch, whatever its family: who opened it did not ask for SO_REUSEPORT.
Listening open_lent(int lent, const Address& address, unsigned count, std::string& problem) {
    Listening result{.sockets = {}, .shared = true, .lent = true, .address = to_string(address)};
    if (address.family != Address::Family::unix_socket) {
        const int on = 1;
        ::setsockopt(lent, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    for (unsigned i = 0; i < count; ++i) {
        const int fd = ::fcntl(lent, F_DUPFD_CLOEXEC, 0);
        if (fd < 0) {
            problem = why(errno, address, result.address);
            for (const int opened : result.sockets) ::close(opened);
            return {};
        }
        result.sockets.push_back(fd);
    }
    return result;
}

} // namespace

std::string why_taken(const std::string& text) {
    const auto address = parse_address(text);
    sockaddr_storage storage{};
    socklen_t length = 0;
    if (!address || address->family != Address::Family::tcp || address->port == 0) return {};
    if (!to_sockaddr(*address, storage, length)) return {};
    std::string_view failed;
    const int probe = make_socket(storage, length, false, 0, failed);
    if (probe < 0) return why(errno, *address, text, failed);
    ::close(probe);
    return {};
}

Listening open_listening(const std::string& text, unsigned count, unsigned socket_mode, std::string& problem) {
    const auto address = parse_address(text);
    sockaddr_storage storage{};
    socklen_t length = 0;
    if (!address || !to_sockaddr(*address, storage, length)) {
        problem = text + " is no address to listen on: write \"HOST:PORT\" with a numeric host, or \"unix:/path\" of "
                         "at most 107 bytes";
        return {};
    }
    if (const int lent = LentSockets::of_this_process().find(text); lent >= 0)
        return open_lent(lent, *address, count, problem);
    Listening result;
    std::string_view failed = cannot_listen;
    result.shared = address->family == Address::Family::unix_socket;
    result.sockets = Heirlooms::of_this_process().take("listener", text);
    const bool inherited = !result.sockets.empty();
    const auto inherited_ones = std::max<std::size_t>(result.sockets.size(), 1);
    if (inherited) {
        length = sizeof storage;
        ::getsockname(result.sockets[0], reinterpret_cast<sockaddr*>(&storage), &length);
    } else if (result.shared && !remove_stale(storage, length, address->path)) {
        problem = why(EADDRINUSE, *address, text);
        return {};
    }
    auto bound = *address;
    if (inherited && !result.shared) bound.port = port_of(storage);
    for (auto i = result.sockets.size(); i < count; ++i) {
        // Nobody may accept there yet, and a socket more would get its part of the clients. So more reactors share what there is.
        const bool shares = inherited || (result.shared && i > 0);
        const int fd = shares ? ::fcntl(result.sockets[i % inherited_ones], F_DUPFD_CLOEXEC, 0)
                              : make_socket(storage, length, !result.shared, socket_mode, failed);
        if (fd < 0) {
            problem = why(errno, *address, text, failed);
            for (const int opened : result.sockets) ::close(opened);
            return {};
        }
        result.sockets.push_back(fd);
        if (i == 0 && !result.shared) { // port 0: the others share what the first one got
            socklen_t size = sizeof storage;
            ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size);
            bound.port = port_of(storage);
        }
    }
    result.address = to_string(bound);
    return result;
}

Listener::Listener(Reactor& reactor, std::shared_ptr<ListeningSocket> socket, unsigned index, bool shared)
    : reactor_(reactor), socket_(std::move(socket)), fd_(socket_->fd()), index_(index), shared_(shared) {
    watch();
}

Listener::~Listener() {
    // Closing alone would leave it in the set: other reactors hold the same socket open.
    reactor_.loop.poller.remove(fd_);
    ::close(fd_);
}

void Listener::watch() {
    // A socket that several reactors watch wakes one of them, not all.
    watched_ = true;
    if (!reactor_.loop.poller.add(fd_, *this, EPOLLIN | (shared_ ? EPOLLEXCLUSIVE : 0U)))
        log::error("listener_unwatched", {{"error", std::strerror(errno)}});
}

void Listener::ready(std::uint32_t) { pending_ = true; }

void Listener::expired() {
    if (!leaves_at_)
        watch();
    else if (go_on_leaving())
        reactor_.left(*this); // destroys *this
}

bool Listener::leave() {
    leaves_at_ = reactor_.loop.now + longest_leave;
    defer_accept(0);
    return go_on_leaving();
}

bool Listener::go_on_leaving() {
    const auto now = reactor_.loop.now;
    const bool wait =
        socket_->leaves() && !shared_ && now < *leaves_at_ && io::handshakes_under_way(fd_).value_or(true);
    accept_all();
    if (wait) {
        reactor_.loop.deadlines.arm(*this, next_look, now);
        return false;
    }
    if (socket_->closes()) return true;
    leaves_at_.reset();
    reactor_.loop.deadlines.disarm(*this);
    defer_accept(defer_seconds);
    if (!watched_) watch();
    return false;
}

void Listener::defer_accept(int seconds) {
    if (!shared_) ::setsockopt(fd_, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds);
}

void Listener::accept_all() {
    for (int i = 0; i < SOMAXCONN / accepts_a_batch; ++i) {
        pending_ = more_ = true;
        accept_pending();
        if (!more_) return;
    }
}

void Listener::accept_pending() {
    if (!pending_) return;
    pending_ = false;
    for (int i = 0; i < accepts_a_batch; ++i) {
        sockaddr_storage peer{};
        socklen_t length = sizeof peer;
        const int fd = ::accept4(fd_, reinterpret_cast<sockaddr*>(&peer), &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            more_ = errno != EAGAIN && errno != EWOULDBLOCK;
            if (!more_) return;
            if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
                continue; // that client is gone
            return pause_accepting(std::strerror(errno));
        }
        if (io::is_of_the_reserve(fd)) { // the next ones wait in the kernel's queue, this one has left it
            refuse(fd, max_connections_answer);
            return pause_accepting("all descriptors but those of the reserve are taken");
        }
        auto name = peer_name(peer);
        auto place = place_of(peer, name);
        if (!place) {
            reactor_.counters.refused("", "max_connections_per_client");
            refuse(fd, Clients::refusal);
            continue;
        }
        // Last: nobody shall make way for one who is refused all the same.
        if (reactor_.over_connection_limit() && !reactor_.evict_one()) {
            refuse(fd, max_connections_answer);
            continue;
        }
        Session::start(reactor_, fd, index_, std::move(name), port_of(peer), std::move(*place));
    }
}

void Listener::pause_accepting(const char* why) {
    ++pauses_;
    reactor_.counters.accept_pauses.add();
    if (!pause_told_ || reactor_.loop.now - *pause_told_ >= tell_pauses_every) {
        pause_told_ = reactor_.loop.now;
        log::warn("accept_paused", {{"error", why},
                                    {"times", std::exchange(pauses_, 0)},
                                    {"hint", "raise the limit of open files (ulimit -n)"}});
    }
    reactor_.loop.poller.remove(fd_);
    watched_ = false;
    reactor_.loop.deadlines.arm(*this, pause_without_descriptors, reactor_.loop.now);
    more_ = false;
}

// Nothing: this client has as many connections as it may.
std::optional<Clients::Place> Listener::place_of(const sockaddr_storage& peer, const std::string& name) {
    const auto snapshot = reactor_.snapshot();
    // Behind a balancer that speaks PROXY the peer is the balancer: its word comes later (proxied_peer.cpp).
    const bool known = snapshot->max_connections_per_client > 0 && !snapshot->listeners[index_].proxy_protocol;
    const auto key = known ? Clients::key_of(peer) : std::nullopt;
    if (!key || snapshot->trusted().trusts(name)) return Clients::Place();
    return reactor_.clients().enter(*key, snapshot->max_connections_per_client);
}

void Listener::refuse(int fd, std::string_view answer) {
    reactor_.counters.connections_refused.add();
    [[maybe_unused]] const auto went = ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    // Read what has come: closing over unread bytes would reset the connection and take the answer away with it.
    char bytes[4096];
    for (int i = 0; i<most_refused_reads&& ::recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)> 0; ++i) {
    }
    ::close(fd);
}

std::string Listener::peer_name(const sockaddr_storage& peer) const {
    if (peer.ss_family == AF_INET)
        return dotted(reinterpret_cast<const std::uint8_t*>(&reinterpret_cast<const sockaddr_in&>(peer).sin_addr));
    if (peer.ss_family != AF_INET6) return {};
    const auto& address = reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&address)) return dotted(&address.s6_addr[12]);
    char text[INET6_ADDRSTRLEN] = "";
    ::inet_ntop(AF_INET6, &address, text, sizeof text);
    return text;
}

} // namespace plimsoll::net
