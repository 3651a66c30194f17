#include "net/io/wakeup.hpp"

#include <utility>

namespace plimsoll::net::io {

void RunQueue::run() {
    ++turn_;
    while (first_ && first_->turn_ < turn_) {
        auto* next = first_;
        next->unlink();
        std::exchange(next->sleeper_, {}).resume();
    }
}

void Wakeup::ring() {
    if (rung_ || !sleeper_) return;
    rung_ = true;
    turn_ = queue_.turn_;
    before_ = queue_.last_;
    after_ = nullptr;
    (queue_.last_ ? queue_.last_->after_ : queue_.first_) = this;
    queue_.last_ = this;
}

void Wakeup::unlink() {
    if (!rung_) return;
    (before_ ? before_->after_ : queue_.first_) = after_;
    (after_ ? after_->before_ : queue_.last_) = before_;
    rung_ = false;
}

} // namespace plimsoll::net::io
