#include "plimsoll/policy/resting_memory.hpp"

#include <algorithm>

namespace plimsoll {

namespace {

Bytes not_negative(Bytes amount) { return std::max(amount, Bytes{}); }

} // namespace

void RestingMemory::begin_while(Instant now, Bytes lowest_before, Bytes lowest) {
    since_ = now;
    readings_ = 0;
    lowest_before_ = lowest_before;
    lowest_ = lowest;
}

Bytes RestingMemory::rise(const PeakReading& reading) const { return not_negative(reading.highest - rest()); }

Bytes RestingMemory::stayed(const PeakReading& reading) const {
    return reading.quiet ? std::min(not_negative(reading.now - rest()), rise(reading)) : Bytes{};
}

std::vector<RestingMemory::Correction> RestingMemory::read(Instant now, const PeakReading& reading,
                                                           const LearnedRise* learned) {
    const Bytes old = rest();
    if (learned && known() && !reading.quiet) {
        if (doubtful_.size() >= most_doubtful) doubtful_.erase(doubtful_.begin());
        doubtful_.push_back({*learned, reading.highest, before_, old});
    }
    if (reading.quiet || !known_)
        begin_while(now, reading.now, reading.now);
    else if (readings_ >= readings_a_while && now - since_ >= least_while)
        begin_while(now, lowest_, reading.now);
    ++readings_;
    lowest_ = std::min(lowest_, reading.now);
    known_ = true;
    before_ = reading.now;

    std::vector<Correction> corrections;
    const Bytes rests = rest();
    std::erase_if(doubtful_, [&](const Doubtful& each) {
        if (rests <= each.rest) return reading.quiet; // it was given back
        const Bytes from = each.learned.first ? rests : std::max(each.rest, std::min(each.before, rests));
        const Bytes need{not_negative(each.highest - from).count / std::max(1U, each.learned.at_once)};
        if (need < each.learned.need) corrections.push_back({each.learned, need, rests - each.rest + need});
        return true;
    });
    return corrections;
}

} // namespace plimsoll
