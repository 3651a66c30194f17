// A stretch of trouble as it is told: one word when it begins, and one when it is over for good.
//
//          on: began              off               off for `settle`: ended
//   calm -------------> lasting ------> quiet -----------------------------> calm
//                          ^              | on: once more of the same
//                          '--------------'
//
//   settle = 10 s; each time twice as long, up to 5 min, where it begins anew within ten minutes of its end
//
// So what flutters begins once and ends once, however often it goes on and off, and what comes back every few minutes is soon one
// that lasts. The quiet before its end is no part of how long it took.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "plimsoll/core/time.hpp"

namespace plimsoll {

class Episode {
public:
    static constexpr Duration least_settle = std::chrono::seconds{10}, most_settle = std::chrono::minutes{5},
                              soon = std::chrono::minutes{10};
    enum class News : std::uint8_t { none, began, ended };

    News look(Instant now, bool on) {
        switch (state_) {
        case State::calm:
            if (!on) return News::none;
            settle_ = ended_ && now - *ended_ < soon ? std::min<Duration>(2 * settle_, most_settle) : least_settle;
            state_ = State::lasting;
            began_ = now;
            times_ = 1;
            return News::began;
        case State::lasting:
            if (on) return News::none;
            state_ = State::quiet;
            off_ = now;
            return News::none;
        case State::quiet:
            if (on) {
                state_ = State::lasting;
                ++times_;
                return News::none;
            }
            return now - off_ < settle_ ? News::none : end(now);
        }
        return News::none;
    }
    // It cannot come back: whom it was about has gone.
    News close(Instant now) {
        if (state_ == State::calm) return News::none;
        if (state_ == State::lasting) off_ = now;
        return end(now);
    }

    bool open() const { return state_ != State::calm; }
    // Of the one that is open, or was last.
    Duration lasted() const { return off_ - began_; } // once it is quiet
    unsigned times() const { return times_; }         // that it went on

private:
    News end(Instant now) {
        state_ = State::calm;
        ended_ = now;
        return News::ended;
    }

    enum class State : std::uint8_t { calm, lasting, quiet } state_ = State::calm;
    Duration settle_ = least_settle;
    Instant began_{}, off_{};
    std::optional<Instant> ended_;
    unsigned times_ = 0;
};

} // namespace plimsoll
