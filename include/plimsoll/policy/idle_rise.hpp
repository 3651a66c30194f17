// How far a worker's memory rose while nothing ran in it: the whole of it, however often it was looked at on the way.
//
//   rises, and nothing ran:                          the climb goes on      rise = highest - rest when it began
//   does not, or something ran, or 1.25 s (two and a
//   half readings of an agent) without a reading, or
//   five seconds in all:                             it is over
#pragma once

#include <optional>

#include "plimsoll/core/bytes.hpp"
#include "plimsoll/core/time.hpp"

namespace plimsoll {

class IdleRise {
public:
    static constexpr Duration longest = std::chrono::seconds{5}, pause = std::chrono::milliseconds{1250};

    struct Seen {
        Bytes before, whole; // what the climb had come to at the reading before; with this one
    };
    // A reading of a worker in which nothing ran since the one before. `rest`: what it held at that.
    Seen read(Instant now, Bytes rest, Bytes highest);
    void over() { began_.reset(); }

private:
    std::optional<Instant> began_;
    Instant seen_{};
    Bytes from_, whole_;
};

} // namespace plimsoll
