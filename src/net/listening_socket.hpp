// A listening socket, and who decides over it: the control thread tells it to leave, or to stay after all; the reactor that
// accepts there waits for those who are on their way in, and then closes it. Whoever comes first is right.
//
//   open --leave()--> leaving --closes()--> closed
//     '<---stays()-------'
#pragma once

#include <atomic>
#include <cstdint>

namespace plimsoll::net {

class ListeningSocket {
public:
    explicit ListeningSocket(int fd) : fd_(fd) {}
    int fd() const { return fd_; } // the reactor's to close

    // Control thread.
    void leave() { moves(State::open, State::leaving); }
    bool stays() { return moves(State::leaving, State::open); } // false: it is closed, or about to be
    bool is_open() const { return state_ == State::open; }
    // The reactor.
    bool leaves() const { return state_ == State::leaving; }
    bool closes() { return moves(State::leaving, State::closed); } // false: it is to stay

private:
    enum class State : std::uint8_t { open, leaving, closed };
    bool moves(State from, State to) { return state_.compare_exchange_strong(from, to); }

    const int fd_;
    std::atomic<State> state_ = State::open;
};

} // namespace plimsoll::net
