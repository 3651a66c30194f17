// What a worker holds when nothing that needs much runs in it, seen through readings at any moment; and what of a rise stayed.
//
//   rest   = the lowest reading of this while and of the one before, a while being eight readings and two seconds at least:
//            one of them was taken at rest. Or what a quiet one shows
//   rise   = highest - rest, of the time between two readings
//   stayed : the rest has come to lie above the one that rises were measured from. A model was loaded, or a heap grew that is not
//            given back; so those rises were measured from too low, and are put right:
//                highest - min(what was read before it, the new rest)
//            The first of its label in this process is told apart: what it did (load the model) the next one need not do.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "plimsoll/core/bytes.hpp"
#include "plimsoll/core/time.hpp"
#include "plimsoll/policy/priority.hpp"

namespace plimsoll {

struct PeakReading {
    Bytes highest; // since the reading before
    Bytes now;
    bool quiet = false; // nothing that needs much ran when it was taken
};

// What was learned from one reading, and of whom.
struct LearnedRise {
    CostKey label = 0;
    unsigned at_once = 1;
    bool first = false; // of its label in this process
    Bytes need;         // of one request
};

class RestingMemory {
public:
    struct Correction {
        LearnedRise learned;
        Bytes need, at_first; // after all; at_first: with what stayed, where it was the first
    };

    bool known() const { return known_; } // what came before the first reading was the process's start
    Bytes rest() const { return std::min(lowest_, lowest_before_); }
    Bytes rise(const PeakReading& reading) const;   // above the rest
    Bytes stayed(const PeakReading& reading) const; // of it, as far as a quiet reading tells
    // Ends the time that the reading was of. `learned`: of which nobody knows yet whether it stayed.
    std::vector<Correction> read(Instant now, const PeakReading& reading, const LearnedRise* learned = nullptr);

private:
    static constexpr unsigned readings_a_while = 8;
    static constexpr Duration least_while = std::chrono::seconds{2};
    static constexpr std::size_t most_doubtful = 256; // of four seconds, at most forty a second
    void begin_while(Instant now, Bytes lowest_before, Bytes lowest);
    struct Doubtful {
        LearnedRise learned;
        Bytes highest, before, rest;
    };

    bool known_ = false;
    Instant since_{};
    unsigned readings_ = 0; // of this while
    Bytes lowest_, lowest_before_;
    Bytes before_; // the last reading
    std::vector<Doubtful> doubtful_;
};

} // namespace plimsoll
