// Which labels run in one worker, and which have run there since its memory was read last.
//
//   begin ----> running ----> end            what was promised for a request is given back with it
//                  '--- reading: everybody who ran since the reading before, how often at once, and whether any ended
//
// A reading has two moments: what is held is read and begun anew, and a little later it is told here. What ran at the first and
// has ended by the second belongs to the next reading as well, which begins with what it held.
//
// Bounded: beyond `most` labels between two readings the rest is one label, 0, of which nothing can be learned.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "plimsoll/core/bytes.hpp"
#include "plimsoll/policy/priority.hpp"

namespace plimsoll {

// A label that ran between two readings.
struct Ran {
    CostKey label = 0;
    unsigned at_once = 1; // the most
    bool ended = true;    // at least one of them: its whole need was seen
    bool first = false;   // one of them was the first of its label in this process, or began beside it
    bool again = false;   // and so it was in the reading before
    Bytes kept;           // what that one was taken to have left behind when it ended
};

class RunningLabels {
public:
    static constexpr std::size_t most = 64;

    struct Given {            // back
        Bytes promised, kept; // kept: of the first in its process, it stays (a model that it loaded)
        bool first = false;   // it was that one, or began beside it
    };

    void begin(CostKey label, Bytes promised);
    void begin_first(CostKey label, Bytes promised, Bytes kept);
    enum class Work : std::uint8_t { whole, part, none }; // that the worker has done of it
    Given end(CostKey label, Work work = Work::whole);
    // Those of the label that run need so much each after all. Returns what was not promised yet.
    Bytes raise(CostKey label, Bytes need);
    std::vector<Ran> ran() const;
    void about_to_read(); // what is held begins anew
    void next_reading();  // from then on, or from here on where that was not told

    template <class Judge> // judge(label, runs) of any label; runs: now, else it has ended
    bool any(Judge judge) const {
        return std::ranges::any_of(entries_, [&](const Entry& each) {
            return (each.now > 0 && judge(each.label, true)) || ((each.ended || each.held) && judge(each.label, false));
        });
    }
    Bytes promised() const { return promised_; }
    bool any_ended() const { return ended_; } // since the last reading

private:
    struct Entry {
        CostKey label = 0;
        unsigned now = 0;
        unsigned at_once = 0;    // the most when one of them ended: who is refused was never there
        unsigned since_read = 0; // the same since what is held began anew
        bool held = false;       // it had not ended then, and has since: its whole need was seen in the reading before
        unsigned first_ones = 0; // that run: the first, and those beside it that may have loaded what it loads
        bool ended = false, first = false, again = false, first_runs = false;
        Bytes promised, to_keep, kept;
    };
    Entry* find(CostKey label);
    Entry& begun(CostKey label, Bytes promised);

    std::vector<Entry> entries_;
    Bytes promised_;
    bool ended_ = false, reading_ = false;
};

} // namespace plimsoll
