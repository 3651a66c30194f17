#include "net/upstream.hpp"

#include <algorithm>
#include <cerrno>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "net/io/descriptors.hpp"
#include "net/io/loop.hpp"

namespace plimsoll::net {

void UpstreamConnection::unattended() {
    if (!is(readable | hangup | late)) return;
    unheard_ ? home_.let_go(*this) : home_.drop(*this); // destroys *this
}

void Upstreams::count(std::size_t idle) {
    idle_count_ = idle;
    counters_.upstream_idle.set(idle);
}

bool Upstreams::still_right(const Name& name, UpstreamConnection& connection) {
    if (connection.answer_ == name.answer) return true;
    sockaddr_storage peer{};
    socklen_t length = sizeof peer;
    if (::getpeername(connection.fd(), reinterpret_cast<sockaddr*>(&peer), &length) != 0) return false;
    if (!name.names.still_right(name.address, connection.answer_, peer, length)) return false;
    connection.answer_ = name.answer;
    return true;
}

Upstreams::Connection Upstreams::take(WorkerKey worker, bool surely, const Name* name) {
    const auto found = idle_.find(worker);
    if (found == idle_.end()) return nullptr;
    auto& resting = found->second;
    const auto unwatched = [this](const Connection& each) { return each->rests_since_ == loop_.poller.rounds(); };
    Connection connection;
    while (!connection && !resting.empty()) {
        // Of those that the epoll set was asked about since: it saves the look.
        const auto last = std::find_if_not(resting.rbegin(), resting.rend(), unwatched);
        const auto place = last == resting.rend() ? resting.end() - 1 : last.base() - 1;
        connection = std::move(*place);
        resting.erase(place);
        count(idle_count_ - 1);
        if ((name && !still_right(*name, *connection)) || ((surely || unwatched(connection)) && connection->has_news()))
            connection.reset();
    }
    if (!connection) return nullptr;
    connection->no_deadline();
    return connection;
}

void Upstreams::keep(Connection connection, Duration idle_time) {
    connection->detach();
    if (connection->is(io::Stream::hangup)) return;
    if (connection->is(io::Stream::readable)) {
        // The last read filled the buffer exactly: only another one tells whether something is left.
        char byte;
        if (connection->read(&byte, 1).kind != io::Io::blocked) return;
    }
    if (!connection->watch()) return; // unwatched, its end would go unseen
    auto& resting = resting_of(connection->worker());
    if (resting.size() >= max_idle) return;
    connection->expect_within(idle_time);
    connection->rests_since_ = loop_.poller.rounds();
    resting.push_back(std::move(connection));
    count(idle_count_ + 1);
}

// A worker whose last connection is at work keeps its place: to make it anew would cost each request an allocation. Those that
// have gone meanwhile are forgotten when the table is full, which doubles where all of them are alive.
std::vector<Upstreams::Connection>& Upstreams::resting_of(WorkerKey worker) {
    if (idle_.size() >= forget_at_ && !idle_.contains(worker)) {
        std::erase_if(idle_, [](const auto& each) { return each.second.empty(); });
        forget_at_ = std::max(least_known, 2 * idle_.size());
    }
    return idle_[worker];
}

void Upstreams::drop(UpstreamConnection& connection) {
    const auto found = idle_.find(connection.worker());
    auto& resting = found->second;
    const auto place =
        std::find_if(resting.begin(), resting.end(), [&](const auto& each) { return each.get() == &connection; });
    resting.erase(place);
    if (resting.empty()) idle_.erase(found); // workers come and go
    count(idle_count_ - 1);
}

void Upstreams::leave_behind(Connection connection, Unheard unheard, Duration bound) {
    connection->detach();
    // An ASGI server that reads an end hangs up and goes on with the request: what it holds would be out of sight.
    if (!unheard.permit.needs_memory()) connection->finish_writing();
    if (connection->is(io::Stream::readable | io::Stream::hangup) || !connection->watch())
        return end(*connection, unheard);
    connection->unheard_.emplace(std::move(unheard));
    connection->expect_within(bound);
    left_behind_.push_back(std::move(connection));
    counters_.upstream_unheard.set(left_behind_.size());
}

void Upstreams::let_go(UpstreamConnection& connection) {
    const auto found = std::ranges::find(left_behind_, &connection, &Connection::get);
    const Connection last = std::move(*found);
    left_behind_.erase(found);
    counters_.upstream_unheard.set(left_behind_.size());
    end(*last, *last->unheard_);
}

void Upstreams::end(const UpstreamConnection& connection, Unheard& unheard) {
    if (connection.is(io::Stream::hangup)) unheard.permit.hung_up();
    if (connection.unread() > 0) unheard.permit.tell_work(Gate::Departure::Work::whole);
    unheard.permit.finish(unheard.outcome);
}

void Upstreams::close_idle(WorkerKey worker) {
    const auto found = idle_.find(worker);
    if (found == idle_.end()) return;
    count(idle_count_ - found->second.size());
    idle_.erase(found);
}

void Upstreams::close_idle() {
    idle_.clear();
    count(0);
    left_behind_.clear(); // the slots go back with it
    counters_.upstream_unheard.set(0);
}

Upstreams::Opening Upstreams::open(WorkerKey worker, const sockaddr_storage& address, socklen_t length,
                                   std::uint32_t answer) {
    const int fd = io::spare_the_reserve(::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (fd < 0) return {nullptr, Opening::State::no_room};
    auto connection = std::make_unique<UpstreamConnection>(*this, loop_, fd, worker, answer);
    const bool tcp = address.ss_family != AF_UNIX;
    if (tcp) {
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    const int result = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), length);
    const int error = result == 0 ? 0 : errno;
    if (error == EAGAIN) return {nullptr, Opening::State::busy};
    if (error == EADDRNOTAVAIL || error == ENOBUFS || error == ENOMEM) return {nullptr, Opening::State::no_room};
    if (error != 0 && error != EINPROGRESS && error != EINTR) return {nullptr, Opening::State::failed};
    if (error == 0) {
        connection->assume(io::Stream::writable);
        if (!connection->watch()) return {nullptr, Opening::State::no_room};
        return {std::move(connection), Opening::State::connected};
    }
    connection->assume(0);
    if (!connection->watch(true)) return {nullptr, Opening::State::no_room};
    return {std::move(connection), Opening::State::connecting};
}

bool Upstreams::established(const UpstreamConnection& connection) {
    int error = 0;
    socklen_t size = sizeof error;
    return ::getsockopt(connection.fd(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
}

} // namespace plimsoll::net
