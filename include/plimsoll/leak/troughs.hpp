// When traffic is low: the hours of the day that a recycle is best put off to.
//
// The day has 96 quarters of an hour, each with the requests a second that came in it, the mean of the days so far with yesterday as
// heavy as all before it. A trough before a deadline is the *last* run of quarters there that have little more than the least:
// the later, the fewer recycles; and of less than 60 % of what comes on the whole until then, or waiting wins nothing.
//
//   rate |  .-.                      .-
//        |.'   '.                  .'
//        |       '-.            .-'
//        |          '-._____..-'
//        '--now-----------^---------deadline--- time
//                     planned
//
// A quarter that was never seen is unknown: then nothing is planned unless most of the quarters until the deadline are known.
#pragma once

#include <array>
#include <optional>

namespace plimsoll::leak {

class DayLoad {
public:
    static constexpr std::size_t quarters = 96;
    static constexpr double day = 24 * 3600, quarter = day / quarters; // seconds

    // `rate` requests a second came during the last `seconds`; `at`: seconds since any midnight.
    void note(double at, double seconds, double rate);
    // Seconds from now to the trough before `deadline` (seconds from now), at most a day ahead; 0: it is now. Nothing: no trough.
    std::optional<double> plan(double now, double deadline) const;

    using Rates = std::array<double, quarters>; // requests a second; below 0: not known
    const Rates& rates() const { return rates_; }
    void learn(const Rates& rates) { rates_ = rates; }

private:
    void close_quarter();
    Rates rates_ = unknown();
    static Rates unknown();
    std::size_t open_ = quarters; // the quarter that is being seen
    double requests_ = 0, seconds_ = 0;
};

} // namespace plimsoll::leak
