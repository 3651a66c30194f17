// A deadline that belongs to no socket: when it passes, it leaves a signal. For what bounds several waits together.
#pragma once

#include "net/io/loop.hpp"

namespace plimsoll::net::io {

class Alarm final : public Source {
public:
    Alarm(Loop& loop, Wakeup& wakeup) : loop_(loop), wakeup_(wakeup) {}

    void set(Duration span) { loop_.deadlines.arm(*this, span, loop_.now); }
    void set_at(Instant when) { loop_.deadlines.arm_at(*this, when); }
    void stop() {
        Deadlines::disarm(*this);
        wakeup_.clear(Wakeup::overdue);
    }

private:
    void ready(std::uint32_t) override {}
    void expired() override { wakeup_.signal(Wakeup::overdue); }

    Loop& loop_;
    Wakeup& wakeup_;
};

} // namespace plimsoll::net::io
