// What a request of each label is expected to need at its peak: learned from how far a worker's memory rose while requests
// ran in it.
//
//   one label ran:    its sketch gets the rise; expected = the 99th percentile of the sketch
//   several ran:      the rise is the doing of the one whose `floor` is clearly the highest; where none is, nobody learns
//                     Nor is it his where what the others are known to need explains it, those that were never seen without it
//       floor         the least rise that a reading with this label has shown: falls by 3/4 of the way, rises by 2 %
//   it hardly rose:   then everybody who ended is light, whoever else ran
//
// A light label is soon seen without the heavy one, so its floor falls and it is blamed no more; a heavy one never is. That
// finds the heavy label with readings of whole seconds, too, where no single request can be told from its neighbours.
//
// The first request of a label in a process may need more than all that follow: it imports, or loads a model that stays. So the
// first ones are learned apart, as what they raised the worker by with what stayed of it; the sketch gets the rise without that:
//
//   at first   = the highest of the first requests in the last eight processes, at least `expected`
//
// While a request of a label that is not known yet runs, it shows what it needs at least: that is its first estimate.
//
// What is learned may be wrong: a thread of the application's own raised the worker while a request ran. So it is doubted:
//
//   by itself:      the worker rises as far while nothing runs (idle_rise.hpp). A label that has been seen without such a rise is
//                   not blamed for it, and where one was already, each such rise takes back half of the readings that it explains
//   not seen again: in thirty times as many readings as have shown it. The highest is taken back, one with each further reading
//
// What nobody has asked for before is expected to need what it is like:
//
//   a part:     the 99th percentile of the label that it is a part of
//   a family:   the median of the first readings of its members, where there are two of them or more. That is a guess by the
//               looks, and "/" has children that have nothing to do with each other; so it is believed for five seconds from
//               when the label was first asked for: where it can't be read, nor ever begins, it must not wait for ever
//
// A label is *cold* until it was learned three times: of a cold one only one runs at a time (memory_admission.hpp), which
// both bounds what it can do and makes it easy to read. It ends after five seconds whatever was learned, for where memory
// is hardly ever read there would be no end to it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "plimsoll/core/bytes.hpp"
#include "plimsoll/core/sketch.hpp"
#include "plimsoll/core/time.hpp"
#include "plimsoll/policy/idle_rise.hpp"
#include "plimsoll/policy/resting_memory.hpp"
#include "plimsoll/policy/running_labels.hpp"

namespace plimsoll {

class MemoryCosts {
public:
    static constexpr std::size_t most = 1151; // labels; what is beyond has no estimate, ever
    static constexpr unsigned confident = 3;  // readings
    static constexpr Duration cold_for = std::chrono::seconds{5}, family_for = std::chrono::seconds{5};

    // `ran` in one worker between two readings, which rose; `stayed`: of the rise, it is still there and nothing runs. A rise of
    // up to `light` is nothing. Returns what was learned of whom, if it was more.
    std::optional<LearnedRise> rose(std::span<const Ran> ran, Bytes rise, Bytes light, Bytes stayed = {});
    void correct(const RestingMemory::Correction& correction);
    void rose_by_itself(Instant now, IdleRise::Seen rise, Bytes light); // nothing ran
    void passes(Instant now);                                           // what is too old is forgotten
    // One that needed so much more than there is was let in, and needed half of that at most: half of those who say so are
    // taken back.
    void contradict(CostKey label);
    void asked(Instant now, CostKey label); // for a request that may begin, or wait
    void began(Instant now, CostKey label);
    void never_began(CostKey label);       // its worker refused it
    void shows(CostKey label, Bytes rise); // and still runs
    enum class Likeness : std::uint8_t { of_a_part, of_a_family };
    // The key is another label's now. As long as nothing was learned of it, it is expected to need what `like` needs; 0: nothing.
    void take_over(CostKey label, CostKey like = 0, Likeness likeness = Likeness::of_a_part);

    // What an earlier life of the program expected of it. It is known at once, and some hundred new readings without it outvote
    // the few that stand for it. Nothing where something was learned already.
    void recall(CostKey label, Bytes expected, Bytes at_first = {});

    bool cold(Instant now, CostKey label) const;
    bool known(CostKey label) const { return readings(label) >= confident; }
    bool well_known(CostKey label) const;    // its first ones were told apart from the others, if they are unlike
    Bytes expected(CostKey label) const;     // 0 where nothing was learned yet
    Bytes at_first(CostKey label) const;     // of the first in its process; never less
    unsigned saying_so(CostKey label) const; // readings that showed about what is expected
    unsigned readings(CostKey label) const;
    // Its requests are not alike: a few need four times what half of them need, and more than `light`.
    bool uneven(CostKey label, Bytes light) const;
    Instant first_began(CostKey label) const, last_began(CostKey label) const; // the beginning of time: never

private:
    static constexpr std::size_t processes = 8;
    struct Cost {
        Sketch rises;
        std::array<Bytes, processes> firsts{};
        std::uint32_t first_ones = 0; // so far
        std::uint32_t without = 0;    // readings since one has shown what is expected
        double floor = -1;            // negative: never seen
        CostKey like = 0;
        Likeness likeness = Likeness::of_a_part;
        bool recalled = false;
        Bytes shown;
        Instant asked{}, first{}, last{};
        std::uint64_t begun = 0; // so far, without those that were refused
    };
    const Cost* find(CostKey label) const;
    Cost* make(CostKey label);
    static void learn_first(Cost& cost, Bytes rise, bool again);
    void learn(CostKey label, Bytes rise, Bytes light);
    bool explained_without(const Ran& blamed, std::span<const Ran> ran, Bytes rise, Bytes light) const;
    static bool seen_without(const Cost& cost, Bytes light);
    bool by_itself(const Cost& cost, Bytes rise, Bytes light) const;

    std::vector<Cost> costs_;          // by label, as far as any was seen
    std::array<Bytes, 2> own_rises_{}; // the highest of a worker in which nothing ran: lately, and in the span before
    Instant own_since_{};              // when this span began
};

} // namespace plimsoll
