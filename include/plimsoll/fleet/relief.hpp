// Whose recycle lowers a memory that refusing requests did not: the load line has found shedding futile (load_line.hpp).
//
//   gathered = used - floor        since it serves: a successor begins without it. `used` is the least of the last quarter to
//                                  half minute: what requests hold for a moment nobody has gathered
//   worth it   gathered >= used / 10, and it has rested since it was recycled for this last
//   helps      its own limit is near:            floor < 9/10 of the line <= used: it alone is below the line again, and takes
//                                                whom others refuse
//              its cgroup's or the host's is:    all who are worth it have gathered a twentieth of that limit or more; else
//                                                somebody else fills it, and would fill it still
//
// The one that has gathered most goes first; the next when the line has had time to see what came of it. What is back soon is
// what the application needs: another recycle costs its warm caches and wins little. So it rests for an hour, and twice as long
// each time that it is due again at once, up to a day.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "plimsoll/core/bytes.hpp"
#include "plimsoll/core/time.hpp"
#include "plimsoll/policy/gate.hpp"

namespace plimsoll {

// The least that was seen in the last 15 to 30 seconds, or in the last two readings where they come more seldom.
class LowWater {
public:
    static constexpr Duration span = std::chrono::seconds{15};
    static constexpr Duration gap = std::chrono::minutes{15}; // three times the longest pause between readings
    void see(Instant now, Bytes used);
    std::optional<Bytes> least() const; // unset: watched for less than a span

private:
    std::optional<Bytes> before_, since_;
    Instant began_{};
};

class Relief {
public:
    static constexpr Duration pause = std::chrono::seconds{30}; // as long as the line needs to judge its own effect
    static constexpr Duration first_rest = std::chrono::hours{1}, longest_rest = std::chrono::hours{24};

    struct Past { // of one place in the pool: when it was recycled for this last
        std::optional<Instant> ended;
        Duration rest = first_rest; // since then
        Past again(Instant now) const;
    };
    struct Worker {
        WorkerKey place = 0;
        bool recyclable = false;           // it serves, and somebody can recycle it
        bool busy = false;                 // it is about to be recycled for another reason
        std::optional<Bytes> used;         // LowWater's
        std::optional<Bytes> floor, limit; // unset, any of the three: not known (yet)
        Past past;
    };
    struct Full {                      // what is near its limit
        bool own = false;              // a worker's own limit; else one that it shares
        Bytes limit;                   // the shared one
        double line = 0;               // the share of a limit at which shedding begins
        std::optional<Instant> last{}; // when a recycle for this ended in the pool
    };
    struct Verdict {
        std::optional<WorkerKey> recycle;
        std::string_view why_not; // no recycle would help, in one sentence; empty where it is too early to say
    };
    static Verdict choose(Instant now, std::span<const Worker> workers, const Full& full);
};

} // namespace plimsoll
