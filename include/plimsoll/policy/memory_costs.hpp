// What a request of each route label is expected to need at its peak, and how much of it stays: learned from how far a
// worker's memory rose while requests ran in it.
//
//   one label ran:    its sketch gets the rise; expected = the 99th percentile of the sketch
//   several ran:      the rise is the doing of the one whose `floor` is clearly the highest; where none is, nobody learns
//       floor         the least rise that a reading with this label has shown: falls by 3/4 of the way, rises by 2 %
//
// A light label is soon seen without the heavy one, so its floor falls and it is blamed no more; a heavy one never is. That
// finds the heavy label with readings of whole seconds, too, where no single request can be told from its neighbours.
// Bounded: labels beyond `most` are not known, ever. A label is known after `confident` readings of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "plimsoll/core/bytes.hpp"
#include "plimsoll/core/sketch.hpp"

namespace plimsoll {

using CostKey = std::uint16_t; // one route label of a pool; 0: none

class MemoryCosts {
public:
    static constexpr std::size_t most = 1024;
    static constexpr unsigned confident = 3;

    // `labels` ran in one worker between two readings, each as often as it ran at once.
    void rose(std::span<const CostKey> labels, Bytes rise);
    void kept(CostKey label, Bytes retained); // of one request that ran alone
    void forget(CostKey label);               // the key is another label's now

    bool known(CostKey label) const;
    Bytes expected(CostKey label) const; // 0 while it is not known
    Bytes retained(CostKey label) const; // the mean
    unsigned readings(CostKey label) const;

private:
    struct Cost {
        Sketch rises;
        double floor = -1; // negative: never seen
        double retained = 0;
        unsigned retained_readings = 0;
    };
    const Cost* find(CostKey label) const;
    Cost* make(CostKey label);

    std::vector<Cost> costs_; // by label, as far as any was seen
};

} // namespace plimsoll
