// How much to shed because memory runs short: the mark on the hull of a whole pool.
//
//   shed  1 |          .-----.------           p = pressure of the worker that has the most room: while one is below the
//           |   shed- /     /                  line, the picker sends requests there and nobody is shed. A worker's is the
//           |  dable /     / normal            worst of its own, its cgroup's and its host's (memory_admission.hpp)
//         0 |-------'-----'---------- p
//                 line   mid   limit           critical: never. When every worker is high there is nobody better to ask
//
// Shedding begins at the line and ends 5 % below it (hysteresis), or it would flutter with every reading.
//
// Shedding lowers the memory that requests hold, and not what a leak or an allocator has kept. So it is given a time to show
// an effect: where pressure has not fallen for half a minute it is *futile*, and everybody is served again while the recycler
// does what helps (plimsoll/fleet/relief.hpp). It begins anew when pressure has risen by another 2 % above the highest of that
// half minute, for others who come and go on the host move it up and down, or once it was below the line.
#pragma once

#include "plimsoll/core/time.hpp"
#include "plimsoll/policy/priority.hpp"

namespace plimsoll {

class LoadLine {
public:
    struct Settings {
        double line = 0.85, limit = 0.95;
        Duration patience = std::chrono::seconds{30};
        friend bool operator==(const Settings&, const Settings&) = default;
    };

    // The lowest pressure of the workers that accept; negative: not known of all. A stale reading never sheds, and what was found
    // futile before it is remembered for as long as `patience`.
    void observe(Instant now, const Settings& settings, double pressure);
    double share(const Settings& settings, Priority priority) const; // of the requests to refuse, 0 to 1
    bool shedding() const { return state_ == State::shedding && pressure_ >= 0; }
    bool futile() const { return state_ == State::futile; }

private:
    enum class State : std::uint8_t { clear, shedding, futile } state_ = State::clear;
    double pressure_ = -1;
    double reference_ = 0; // the lowest since it sheds; where it gave up
    double highest_ = 0;   // since then
    Instant improved_{};   // when that was
    Instant told_{};       // when it was known last
};

} // namespace plimsoll
