// The floor: a TCP relay that understands nothing. Raw epoll, edge-triggered, one thread, one upstream connection for each
// client, a 64 KiB buffer. No proxy that copies bytes through user space can cost less than this.
//
//     relay LISTEN_PORT UPSTREAM_PORT
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

struct Side {
    explicit Side(int descriptor, Side* peer = nullptr) : fd(descriptor), other(peer) {}
    int fd;
    Side* other;
    std::string waiting; // for this side to take
    bool dead = false;
};

int epoll_fd;
sockaddr_in upstream;
char buffer[64 << 10];
std::vector<Side*> graveyard;

void no_delay(int fd) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void watch(Side* side) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLET;
    event.data.ptr = side;
    ::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, side->fd, &event);
}

void bury(Side* side) {
    for (auto* each : {side, side->other}) {
        if (each->dead) continue;
        each->dead = true;
        ::close(each->fd);
        graveyard.push_back(each);
    }
}

bool flush(Side* side) {
    while (!side->waiting.empty()) {
        const auto went = ::send(side->fd, side->waiting.data(), side->waiting.size(), MSG_NOSIGNAL);
        if (went < 0) return errno == EAGAIN;
        side->waiting.erase(0, static_cast<std::size_t>(went));
    }
    return true;
}

void pump(Side* from) {
    auto* to = from->other;
    while (to->waiting.empty()) {
        const auto got = ::recv(from->fd, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) return bury(from);
        const auto went = ::send(to->fd, buffer, static_cast<std::size_t>(got), MSG_NOSIGNAL);
        if (went < 0 && errno != EAGAIN) return bury(from);
        const auto sent = went < 0 ? 0 : went;
        if (sent < got) to->waiting.assign(buffer + sent, static_cast<std::size_t>(got - sent));
        if (got < static_cast<ssize_t>(sizeof buffer)) return;
    }
}

void accept_all(int listener) {
    int fd;
    while ((fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK)) >= 0) {
        const int dialled = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        ::connect(dialled, reinterpret_cast<sockaddr*>(&upstream), sizeof upstream);
        no_delay(fd);
        no_delay(dialled);
        auto* client = new Side(fd);
        auto* worker = new Side(dialled, client);
        client->other = worker;
        watch(client);
        watch(worker);
    }
}

sockaddr_in loopback(const char* port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3) return std::fputs("relay LISTEN_PORT UPSTREAM_PORT\n", stderr), 2;
    upstream = loopback(argv[2]);
    const auto address = loopback(argv[1]);
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return std::perror("bind"), 1;
    ::listen(listener, 1024);
    epoll_fd = ::epoll_create1(0);
    epoll_event event{};
    event.events = EPOLLIN;
    ::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    epoll_event batch[256];
    while (true) {
        const int count = ::epoll_wait(epoll_fd, batch, 256, -1);
        for (int i = 0; i < count; ++i) {
            auto* side = static_cast<Side*>(batch[i].data.ptr);
            if (!side) {
                accept_all(listener);
                continue;
            }
            if (side->dead) continue;
            if ((batch[i].events & EPOLLOUT) && !side->waiting.empty()) {
                if (!flush(side)) {
                    bury(side);
                    continue;
                }
                if (side->waiting.empty()) pump(side->other);
            }
            if (!side->dead && (batch[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) pump(side);
        }
        for (auto* each : graveyard) delete each;
        graveyard.clear();
    }
}
