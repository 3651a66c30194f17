// When a worker in which nothing runs is looked at, to see whether its memory moves by itself.
//
//   every 250 ms
//   with each step of 25 ms for three seconds after a rise: under steady traffic nothing runs for a moment only, and it is in
//   these moments that a thread of the application's own gives itself away. A few workers at a time, whoever asks has a bound
#pragma once

#include <cstdint>

#include "plimsoll/core/bytes.hpp"
#include "plimsoll/core/time.hpp"

namespace plimsoll {

class IdleLooks {
public:
    static constexpr Duration step = std::chrono::milliseconds{25}, usual = std::chrono::milliseconds{250};
    static constexpr Duration after_a_rise = std::chrono::seconds{3};
    static constexpr Bytes a_move{1 << 20}, a_rise{4 << 20}; // a rise: that makes one worth watching

    enum class Due : std::uint8_t { no, usual, soon };
    Due due(Instant now) const;
    bool moved(Instant now, Bytes highest, Bytes holds); // a look, since the last reading
    void read(Instant now, Bytes highest, Bytes holds);  // a reading, whatever ran
    bool was_read() const { return read_ != Instant{}; }
    Instant last_reading() const { return read_; } // the beginning of time: never

private:
    Instant looked_{}, read_{}, rose_{};
    Bytes left_; // what it held at the last reading
};

} // namespace plimsoll
