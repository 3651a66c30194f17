// Whether a client moves its bytes as fast as it must.
//
//   too slow  <=>  bytes moved in a window  <  rate * time of the window in which it was the client's turn
//
// Only the client's own time counts: what a worker takes to make an answer, or to take a request, is no fault of the client's.
// The window is as long as a client may be silent (body_timeout, write_timeout), so that a pause which is allowed there is not
// punished here; and each one is judged anew, so that a quick beginning does not buy an hour of dripping.
#pragma once

#include <cstdint>

#include "plimsoll/core/time.hpp"

namespace plimsoll::net {

class Pace {
public:
    bool begun() const { return begun_; }
    void begin(std::int64_t total) { // where the count does not begin with nothing
        begun_ = true;
        before_ = total;
    }
    void waited(Duration span) { waited_ += span; } // it was the client's turn
    bool due(Duration window) const { return waited_ >= window; }
    // When due: `total` is what has moved since the beginning. Starts the next window.
    bool too_slow(std::int64_t total, std::int64_t bytes_a_second) {
        const std::chrono::duration<double> seconds = waited_;
        const auto moved = static_cast<double>(total - before_);
        waited_ = {};
        before_ = total;
        return moved < static_cast<double>(bytes_a_second) * seconds.count();
    }

private:
    Duration waited_{};
    std::int64_t before_ = 0;
    bool begun_ = false;
};

} // namespace plimsoll::net
