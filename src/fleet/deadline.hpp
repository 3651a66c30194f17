// Closes a socket or descriptor when the time is over, so that whatever waits on it ends. Closes rather than cancels:
// the time may be over between two operations, when there is nothing to cancel, and the next one must fail as well.
#pragma once

#include <memory>

#include <boost/asio/steady_timer.hpp>

#include "plimsoll/core/time.hpp"

namespace plimsoll::fleet {

template <class Io>
class Deadline {
public:
    Deadline(Io& io, Duration bound) : timer_(io.get_executor(), bound), state_(std::make_shared<State>(State{&io})) {
        timer_.async_wait([state = state_](boost::system::error_code ec) {
            if (ec || state->io == nullptr) return;
            state->expired = true;
            boost::system::error_code ignored; // closed is closed
            state->io->close(ignored);
        });
    }
    Deadline(const Deadline&) = delete;
    Deadline& operator=(const Deadline&) = delete;
    ~Deadline() { state_->io = nullptr; } // the handler may be queued already, and runs after this
    bool expired() const { return state_->expired; }

private:
    struct State {
        Io* io;
        bool expired = false;
    };
    boost::asio::steady_timer timer_;
    std::shared_ptr<State> state_;
};

} // namespace plimsoll::fleet
