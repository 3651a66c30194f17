// When the wall clock may be believed about how old something is. A machine that wakes in a wrong year would delete all
// incidents by age at the first sweep. So nothing goes by age before the two clocks have gone alike for a while, seen
// from our start or from the last time that the wall clock went ahead of the steady one.
#pragma once

#include <chrono>

namespace plimsoll::store {

class AgeClock {
public:
    using Steady = std::chrono::steady_clock::time_point;
    using Wall = std::chrono::system_clock::time_point;

    explicit AgeClock(std::chrono::seconds settled) : settled_(settled) {}

    // Asked at each sweep.
    bool believed(Steady steady, Wall wall) {
        const bool jumped = asked_ && (wall - wall_) - (steady - steady_) > slack;
        if (!asked_ || jumped) since_ = steady;
        asked_ = true;
        steady_ = steady;
        wall_ = wall;
        return steady - since_ >= settled_;
    }

private:
    static constexpr std::chrono::minutes slack{5}; // what a clock that is set right may be wrong by

    std::chrono::seconds settled_;
    bool asked_ = false;
    Steady since_{}, steady_{};
    Wall wall_{};
};

} // namespace plimsoll::store
