#include "net/io/stream.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net/io/loop.hpp"

namespace plimsoll::net::io {

namespace {

std::uint8_t without(std::uint8_t marks, std::uint8_t gone) { return static_cast<std::uint8_t>(marks & ~gone); }

// The C library's recv() and send() are cancellation points: in a program with threads each call locks and unlocks the
// thread's cancellation state, twice a hundredth of a request. Nobody cancels threads here.
ssize_t receive(int fd, void* to, std::size_t room) {
    return ::syscall(SYS_recvfrom, fd, to, room, 0, nullptr, nullptr);
}
ssize_t transmit(int fd, const void* from, std::size_t size) {
    return ::syscall(SYS_sendto, fd, from, size, MSG_NOSIGNAL, nullptr, 0);
}
ssize_t transmit(int fd, const msghdr& message) { return ::syscall(SYS_sendmsg, fd, &message, MSG_NOSIGNAL); }

} // namespace

Stream::~Stream() {
    if (fd_ < 0) return;
    // Closing alone may leave it in the set, with a pointer to us: until it execs, a child that is just being started holds a
    // copy of every socket.
    if (watching_) loop_.poller.remove(fd_);
    ::close(fd_);
}

Io Stream::refused() {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {Io::blocked, 0};
    return {Io::failed, 0};
}

Io Stream::read(char* to, std::size_t room) {
    ssize_t got;
    do got = receive(fd_, to, room);
    while (got < 0 && errno == EINTR);
    if (got < 0) {
        auto io = refused();
        if (io.kind == Io::blocked) marks_ = without(marks_, readable);
        return io;
    }
    if (got == 0) return {Io::closed, 0};
    // A short read has emptied the socket: the next byte makes a new edge. The end of the stream made its edge already.
    if (static_cast<std::size_t>(got) < room && !is(hangup)) marks_ = without(marks_, readable);
    return {Io::done, static_cast<std::size_t>(got)};
}

Io Stream::sent(ssize_t result, std::size_t wanted) {
    if (result < 0) {
        auto io = refused();
        if (io.kind != Io::blocked) return io;
        result = 0;
    }
    const auto went = static_cast<std::size_t>(result);
    if (went == wanted) return {Io::done, went};
    marks_ = without(marks_, writable);
    if (!watch(true)) return {Io::failed, went};
    return {Io::blocked, went};
}

Io Stream::write(std::string_view bytes) {
    ssize_t went;
    do went = transmit(fd_, bytes.data(), bytes.size());
    while (went < 0 && errno == EINTR);
    return sent(went, bytes.size());
}

Io Stream::write(std::span<iovec> parts) {
    std::size_t wanted = 0;
    for (const auto& part : parts) wanted += part.iov_len;
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    ssize_t went;
    do went = transmit(fd_, message);
    while (went < 0 && errno == EINTR);
    const auto io = sent(went, wanted);
    auto rest = io.bytes;
    for (auto& part : parts) {
        const auto step = std::min(rest, part.iov_len);
        part.iov_base = static_cast<char*>(part.iov_base) + step;
        part.iov_len -= step;
        rest -= step;
    }
    return io;
}

Io Stream::send_file(int file, off_t& offset, std::size_t count) {
    ssize_t went;
    do went = ::sendfile(fd_, file, &offset, count);
    while (went < 0 && errno == EINTR);
    if (went == 0) return {Io::failed, 0}; // the file is shorter than we wrote it
    // sendfile may give less than asked without the socket being full: only a refusal means blocked.
    if (went > 0) return {Io::done, static_cast<std::size_t>(went)};
    return sent(went, count);
}

Io Stream::splice_to(int pipe, std::size_t count, bool pipe_is_empty) {
    ssize_t got;
    do got = ::splice(fd_, nullptr, pipe, nullptr, count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (got < 0 && errno == EINTR);
    if (got > 0) return {Io::done, static_cast<std::size_t>(got)};
    if (got == 0) return {Io::closed, 0};
    // Either the socket is empty or the pipe is full, and both say EAGAIN: only an empty pipe makes it certain.
    const auto io = refused();
    if (io.kind == Io::blocked && pipe_is_empty) marks_ = without(marks_, readable);
    return io;
}

Io Stream::splice_from(int pipe, std::size_t count, bool more) {
    ssize_t went;
    const unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | (more ? SPLICE_F_MORE : 0U);
    do went = ::splice(pipe, nullptr, fd_, nullptr, count, flags);
    while (went < 0 && errno == EINTR);
    if (went > 0) return {Io::done, static_cast<std::size_t>(went)};
    return sent(went, count);
}

// Even where it is set already, this sends what is held back.
void Stream::push() {
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

std::size_t Stream::untaken() const {
    int bytes = 0;
    return ::ioctl(fd_, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

std::size_t Stream::unread() const {
    int bytes = 0;
    return ::ioctl(fd_, FIONREAD, &bytes) == 0 && bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

bool Stream::has_ended() const {
    pollfd ask{fd_, POLLRDHUP, 0};
    return ::poll(&ask, 1, 0) > 0;
}

bool Stream::has_news() const {
    pollfd ask{fd_, POLLIN | POLLRDHUP, 0};
    return ::poll(&ask, 1, 0) > 0;
}

bool Stream::ended_within(std::chrono::milliseconds span) const {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(fd_, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return false;
    // The segment with the end is the last that acknowledged anything.
    return std::chrono::milliseconds{info.tcpi_last_data_recv} <=
           std::chrono::milliseconds{info.tcpi_last_ack_recv} + span;
}

void Stream::wake_for(std::size_t bytes) {
    const int mark = static_cast<int>(bytes);
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof mark);
}

void Stream::finish_writing() { ::shutdown(fd_, SHUT_WR); }

void Stream::end_with_reset() {
    const ::linger at_once{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void Stream::cut() {
    ::shutdown(fd_, SHUT_RDWR);
    marked(readable | writable | hangup);
}

bool Stream::watch(bool writing) {
    const std::uint8_t wish = writing ? 2 : 1;
    if (watching_ >= wish) return true;
    const std::uint32_t events = EPOLLIN | EPOLLRDHUP | EPOLLET | (writing ? std::uint32_t{EPOLLOUT} : 0U);
    const bool ok = watching_ ? loop_.poller.change(fd_, *this, events) : loop_.poller.add(fd_, *this, events);
    if (ok) watching_ = wish;
    return ok;
}

void Stream::expect_within(Duration span) {
    marks_ = without(marks_, late);
    loop_.deadlines.arm(*this, span, loop_.now);
}

void Stream::no_deadline() {
    marks_ = without(marks_, late);
    Deadlines::disarm(*this);
}

void Stream::ready(std::uint32_t events) {
    std::uint8_t marks = 0;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) marks |= readable;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) marks |= writable;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) marks |= hangup;
    if (events & (EPOLLHUP | EPOLLERR)) marks |= gone;
    marked(marks);
}

void Stream::expired() { marked(late); }

void Stream::marked(std::uint8_t marks) {
    marks_ = static_cast<std::uint8_t>(marks_ | marks);
    if (!wakeup_)
        unattended();
    else if (marks & wanted_)
        wakeup_->ring();
}

bool until::await_ready() const {
    return (wakeup_.signals() & signals_) || first_->is(first_marks_) || (second_ && second_->is(second_marks_));
}

void until::await_suspend(std::coroutine_handle<> sleeper) {
    wakeup_.want(signals_);
    wakeup_.sleep(sleeper);
    first_->want(first_marks_);
    if (second_) second_->want(second_marks_);
    // Without a watch its marks would never change; if there is none left, the deadline still ends the wait.
    if ((first_marks_ & ~Stream::late) && !first_->watched()) first_->watch();
    if (second_ && (second_marks_ & ~Stream::late) && !second_->watched()) second_->watch();
}

void until::await_resume() const {
    wakeup_.want(0);
    first_->want(0);
    if (second_) second_->want(0);
}

} // namespace plimsoll::net::io
