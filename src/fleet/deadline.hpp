// Closes a socket or descriptor when the time is over, so that whatever waits on it ends. Closes rather than cancels:
// the time may be over between two operations, when there is nothing to cancel, and the next one must fail as well. Who has
// a use for the connection afterwards has it cancel, and looks at expired() before each operation.
#pragma once

#include <cstdint>
#include <memory>

#include <boost/asio/steady_timer.hpp>

#include "plimsoll/core/time.hpp"

namespace plimsoll::fleet {

enum class AtDeadline : std::uint8_t { close, cancel };

template <class Io>
class Deadline {
public:
    Deadline(Io& io, Duration bound, AtDeadline how = AtDeadline::close)
        : timer_(io.get_executor(), bound), state_(std::make_shared<State>(State{&io})) {
        timer_.async_wait([state = state_, how](boost::system::error_code ec) {
            if (ec || state->io == nullptr) return;
            state->expired = true;
            boost::system::error_code ignored; // closed is closed
            how == AtDeadline::close ? state->io->close(ignored) : state->io->cancel(ignored);
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
