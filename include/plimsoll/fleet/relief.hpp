// Whose recycle lowers a memory that refusing requests did not: the load line has found shedding futile (load_line.hpp).
//
//   gathered = used - floor                    since it serves: a successor begins without it. `used` is the least of the last
//                                              quarter to half minute: what requests hold for a moment nobody has gathered
//   worth it   gathered >= used / 10, and the worker was not recycled for this within the last hour
//   helps      one's own limit is near:        floor < 9/10 of the line: it alone is below the line again, and takes whom others refuse
//              its cgroup's or host's is near: all that are worth it have gathered 1/20 of all limits together, or who else
//                                              fills it fills it still
//
// The one that has gathered most goes first; the next when the line has had time to see what came of it. What is back within the
// hour is what the application needs: another recycle would cost its warm caches and win nothing, so it waits for the hour.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "plimsoll/core/bytes.hpp"
#include "plimsoll/core/time.hpp"
#include "plimsoll/policy/gate.hpp"

namespace plimsoll {

// The least that was seen in the last 15 to 30 seconds.
class LowWater {
public:
    static constexpr Duration span = std::chrono::seconds{15};
    void see(Instant now, Bytes used);
    std::optional<Bytes> least() const; // unset: watched for less than a span

private:
    std::optional<Bytes> before_, since_;
    Instant began_{};
};

class Relief {
public:
    static constexpr Duration pause = std::chrono::seconds{30}; // as long as the line needs to judge its own effect
    static constexpr Duration once_in = std::chrono::hours{1};  // a worker

    struct Worker {
        WorkerKey place = 0;
        std::optional<Bytes> used;         // LowWater's
        std::optional<Bytes> floor, limit; // unset, any of them: not known (yet), and then it is left alone
        bool serves = false;
        std::optional<Instant> relieved; // when it was recycled for this last
    };
    struct Verdict {
        std::optional<WorkerKey> recycle;
        std::string_view why_not; // none is worth it, in one sentence; empty where it is only too early to say
    };

    // `line`: the share of a limit at which shedding begins, 0 to 1; `own`: a worker's own limit is near, else what it shares.
    static Verdict choose(Instant now, std::span<const Worker> workers, double line, bool own);
};

} // namespace plimsoll
