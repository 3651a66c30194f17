// The one place where a connection's coroutine sleeps.
//
// A proxy always waits for several things at once: the worker's answer, but also the client hanging up, a deadline, a slot
// that is granted, the order to stop. Each of them leaves its mark (a Stream in its own flags, the rest in `signals`) and
// rings; the coroutine wakes if it asked for that mark, and reads all marks when it runs. So one linear coroutine does what
// would otherwise take two and a way to cancel one of them.
//
// ring() only queues: coroutines run from RunQueue::run(), after the whole batch of events has been noted.
#pragma once

#include <coroutine>
#include <cstdint>

namespace plimsoll::net::io {

class Wakeup;

class RunQueue {
public:
    void run(); // those who were rung for before; not those they ring for
    bool empty() const { return !first_; }

private:
    friend class Wakeup;
    Wakeup* first_ = nullptr;
    Wakeup* last_ = nullptr;
    std::uint64_t turn_ = 0;
};

class Wakeup {
public:
    enum Signal : std::uint8_t {
        granted = 1,
        cut = 2,
        overdue = 4,
        told = 8
    };                                                    // overdue: an Alarm went off; told: by Redis
    static constexpr std::uint8_t always = cut | overdue; // no wait outlasts these

    explicit Wakeup(RunQueue& queue) : queue_(queue) {}
    Wakeup(const Wakeup&) = delete;
    Wakeup& operator=(const Wakeup&) = delete;
    ~Wakeup() { unlink(); }

    std::uint8_t signals() const { return signals_; }
    void clear(std::uint8_t signals) { signals_ = static_cast<std::uint8_t>(signals_ & ~signals); }
    void signal(std::uint8_t what) {
        signals_ = static_cast<std::uint8_t>(signals_ | what);
        if (signals_ & wanted_) ring();
    }
    void want(std::uint8_t signals) { wanted_ = signals; }

    void ring(); // run the sleeper, if there is one, when the batch is over
    void sleep(std::coroutine_handle<> sleeper) { sleeper_ = sleeper; }

private:
    friend class RunQueue;
    void unlink();

    RunQueue& queue_;
    Wakeup* before_ = nullptr;
    Wakeup* after_ = nullptr;
    std::coroutine_handle<> sleeper_;
    std::uint64_t turn_ = 0; // when it was rung
    bool rung_ = false;
    std::uint8_t signals_ = 0, wanted_ = 0;
};

// co_await next_turn(wakeup): lets the others run, for one that found its work ready too often in a row.
struct next_turn {
    explicit next_turn(Wakeup& wakeup) : wakeup_(wakeup) {}
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> sleeper) {
        wakeup_.sleep(sleeper);
        wakeup_.ring();
    }
    void await_resume() const {}

private:
    Wakeup& wakeup_;
};

} // namespace plimsoll::net::io
