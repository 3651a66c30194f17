// A session's place in a pool's queue. The pool wakes it on whatever thread freed the slot; the reactor carries the news to
// the session's own thread.
#pragma once

#include "net/io/wakeup.hpp"
#include "net/pool.hpp"

namespace plimsoll::net {

class Reactor;

class Admission final : public Waiter {
public:
    Admission(Reactor& reactor, io::Wakeup& wakeup) : reactor_(reactor), wakeup_(wakeup) {}

    void wake(Permit permit, Reason reason, Duration retry_after) override; // any thread
    void arrive_home() { wakeup_.signal(io::Wakeup::granted); }

    Permit permit; // valid after the signal, if not refused
    Reason reason = Reason::none;
    Duration retry_after{};

private:
    Reactor& reactor_;
    io::Wakeup& wakeup_;
};

} // namespace plimsoll::net
