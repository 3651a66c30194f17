// A leak that begins late in a process's life: with a feature that is switched on, or a client that asks what nobody asked before.
//
//   life    |-------------------- flat ---------------------|/////
//   longest         |--------------|--------------|--------------|
//   shorter ...                                 |--|--|--|--|--|--|      (and shortest: who leaks by the mebibyte has not many)
//
// Over the last two thirds of a long life, where Detector looks, that is no trend until it has gone on for about as long as
// there was none, which is too late. So the same detector looks at stretches of the life as well, each as if the process had
// begun with it. Of each length two run at a time, half of it apart; one that sees a leak goes on, every other begins anew at
// its end. A stretch knows less than a life: what it sees is told only where the memory lies above all that this process has ever
// had, by a tenth of the headroom, and, unless much of the headroom is gone, no more requests come a second than ever in a stretch
// before it, and earlier processes were never as high. Once told it is told until the stretch itself sees a leak no more.
#pragma once

#include <memory>
#include <vector>

#include "plimsoll/leak/classify.hpp"

namespace plimsoll::leak {

class Detector;
struct Reading;
struct Verdict;

class LateOnset {
public:
    explicit LateOnset(Thresholds thresholds);
    LateOnset(LateOnset&&) noexcept;
    LateOnset& operator=(LateOnset&&) noexcept;
    ~LateOnset();

    struct Life {           // so far
        double highest = 0; // low-water mark
        double pace = 0;    // the most requests a second
        double floor = 0;   // the lowest low-water mark
    };
    void observe(const Reading& reading, const Detector& life);
    // Null: no stretch sees a leak. Its `since` is an age of the process.
    const Verdict* judge(double limit, double requests_a_second, const Life& life);
    double level() const { return level_; } // where memory stands by what was told last

private:
    struct Stretch {
        double length; // requests
        double origin; // age of the process at which it began
        Life before;   // as it was then
        std::unique_ptr<Detector> detector;
        bool told = false;
    };
    void begin(Stretch& stretch, double age, const Detector& life) const;

    Thresholds thresholds_;
    std::vector<Stretch> stretches_;
    std::unique_ptr<Verdict> told_;
    double level_ = 0;
    double busiest_ = 0; // requests a second, in a stretch that is over
};

} // namespace plimsoll::leak
