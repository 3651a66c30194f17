// When a worker that leaks is recycled. `early` is the soonest that it can be at its limit, `lead` what a recycle needs.
//
//   lead = min(bound, 3 longest waiting)    at least 10 s; `bound` as long as no recycle was measured
//
//   early <= lead                           at once
//   it is where clients are refused         at once: who is there is asked nothing, so that its end recedes and never comes
//   traffic is low just now, and
//       early <= 10 bounds                  now: such a chance may not come again in time
//   the trough of the day is now            now: tomorrow's would be too late, or it would have been put off to that
//   else                                    later
//
// Chances are only for who has lived a third of its life to the limit: its successor would be in the same trough, too.
// Where the operator has set a soft limit, that decides when it has to be; before it there are chances alone.
#pragma once

#include <cstdint>
#include <optional>

namespace plimsoll::leak {

struct RecycleOutlook {
    double lived = 0, early = 0, lead = 0, bound = 0; // seconds
    bool quiet = false;                               // traffic is far below the last hour's
    bool has_soft_limit = false;
    bool refused = false;         // its memory is at the load line
    std::optional<double> trough; // seconds to the one that was planned (plimsoll/leak/troughs.hpp)
};
enum class RecycleTime : std::uint8_t { later, at_once, while_quiet, in_trough };

// From `line` bytes on clients are refused, which is before the limit: that is what there is time to. Where less than half of what
// lies between `floor` and the limit is below the line, a recycle would win little, and the limit counts as ever.
struct LoadLineAhead {
    double line = 0, limit = 0, floor = 0;
    double room = 0;   // from the trend to the limit: what swings above it does so for a moment, and refuses few
    double growth = 0; // bytes a second, at most
    bool reached = false;
};
RecycleOutlook sooner(RecycleOutlook outlook, const LoadLineAhead& ahead);

// Seconds. `bound`: what all timeouts of a recycle allow together. `longest`: of the last recycles; nothing: there was none yet.
// `waiting`: workers that may need one, for they go one at a time.
double lead_of(double bound, std::optional<double> longest, unsigned waiting);

RecycleTime recycle_time(const RecycleOutlook& outlook);
// Seconds to the trough in which it will be recycled, as things look now; nothing where it will have lived too short then.
std::optional<double> promised_trough(const RecycleOutlook& outlook);

} // namespace plimsoll::leak
