// One byte stream: a non-blocking socket and what is known about it. The one concrete type for both sides; an encrypted
// stream would differ in read() and write() only.
//
// The rules that save system calls:
//   - never read on speculation: read() is called while readable() says so. The mark is set by an edge and cleared by a short
//     read, so a request costs one recv, without a second one that says EAGAIN;
//   - write at once; wait for room only after the kernel refused;
//   - join the epoll set only when there is something to wait for (a short-lived connection never does), and ask for
//     writability only after the first refusal.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include <sys/types.h>

#include "net/io/source.hpp"
#include "net/io/wakeup.hpp"

struct iovec;

namespace plimsoll::net::io {

class Loop;

struct Io {
    enum Kind : std::uint8_t { done, blocked, closed, failed } kind = done;
    std::size_t bytes = 0; // done; and what went before it was blocked
};

class Stream : public Source {
public:
    // hangup: the peer sends no more. gone: nor does it take anything. late: its deadline passed
    enum Mark : std::uint8_t { readable = 1, writable = 2, hangup = 4, late = 8, gone = 16 };

    Stream(Loop& loop, int fd) : loop_(loop), fd_(fd) {}
    ~Stream();

    int fd() const { return fd_; }
    Loop& loop() const { return loop_; }
    bool is(std::uint8_t marks) const { return (marks_ & marks) != 0; }

    Io read(char* to, std::size_t room);
    Io write(std::string_view bytes);
    Io write(std::span<iovec> parts); // advances the parts by what went
    Io send_file(int file, off_t& offset, std::size_t count);
    Io splice_to(int pipe, std::size_t count, bool pipe_is_empty); // from this socket into a pipe
    // more: a last segment that is not full is held back until more comes, or push().
    Io splice_from(int pipe, std::size_t count, bool more);
    void push();
    std::size_t untaken() const; // bytes that were written and that the peer has not acknowledged
    std::size_t unread() const;  // bytes that lie here to be read
    bool has_ended() const;      // is there an end, behind what lies here to be read? Asks the kernel
    bool has_news() const;       // are there bytes, or an end? Asks the kernel
    // Of one that has ended: did its end come within so long behind its last bytes? By the kernel's clock, however late we look; false
    // of a unix socket, of which the kernel does not know.
    bool ended_within(std::chrono::milliseconds span) const;
    void wake_for(std::size_t bytes); // readable means: so many are there, or the end
    void finish_writing();            // half-close
    void end_with_reset();            // when it is closed, instead of sending what is left
    void cut();                       // both ways; whoever waits for it sees a hangup
    void assume(std::uint8_t marks) {
        marks_ = marks;
    } // of a new socket: what is known before the kernel said anything

    // Who is told of marks; nobody: unattended() is called instead.
    void attach(Wakeup& wakeup) { wakeup_ = &wakeup; }
    void detach() { wakeup_ = nullptr; }
    void want(std::uint8_t marks) { wanted_ = marks; }

    bool watched() const { return watching_ != 0; }
    bool watch(bool writing = false);  // joins the epoll set; false: no watches left
    void expect_within(Duration span); // arms the deadline, anew
    void no_deadline();

protected:
    virtual void unattended() {}

private:
    void ready(std::uint32_t events) final;
    void expired() final;
    void marked(std::uint8_t marks);
    Io refused(); // after an error: blocked or failed?
    Io sent(ssize_t result, std::size_t wanted);

    Loop& loop_;
    int fd_;
    Wakeup* wakeup_ = nullptr;
    std::uint8_t marks_ = readable | writable; // until the kernel says otherwise
    std::uint8_t wanted_ = 0;
    std::uint8_t watching_ = 0; // 1: for reading, 2: for writing too
};

// co_await until(wakeup, ...): sleeps until one of the marks or signals is there. Wakeup::always are among them.
class until {
public:
    until(Wakeup& wakeup, Stream& stream, std::uint8_t marks, std::uint8_t signals = 0)
        : wakeup_(wakeup), first_(&stream), first_marks_(marks), signals_(with_always(signals)) {}
    until(Wakeup& wakeup, Stream& first, std::uint8_t first_marks, Stream& second, std::uint8_t second_marks)
        : wakeup_(wakeup), first_(&first), second_(&second), first_marks_(first_marks), second_marks_(second_marks),
          signals_(with_always(0)) {}

    // For the one wait that must not be cut short: somebody else still holds a pointer to us.
    until&& whatever_happens() && {
        signals_ = static_cast<std::uint8_t>(signals_ & ~Wakeup::always);
        return std::move(*this);
    }

    bool await_ready() const;
    void await_suspend(std::coroutine_handle<> sleeper);
    void await_resume() const;

private:
    static std::uint8_t with_always(std::uint8_t signals) {
        return static_cast<std::uint8_t>(signals | Wakeup::always);
    }

    Wakeup& wakeup_;
    Stream* first_;
    Stream* second_ = nullptr;
    std::uint8_t first_marks_, second_marks_ = 0, signals_;
};

} // namespace plimsoll::net::io
