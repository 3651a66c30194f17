#include "plimsoll/fleet/relief.hpp"

#include <algorithm>
#include <utility>

namespace plimsoll {

namespace {

constexpr double worth = 0.1;         // of what it uses
constexpr double clearly_below = 0.9; // of the line
constexpr double felt = 0.05;         // of a shared limit: the line's hysteresis

double count(Bytes bytes) { return static_cast<double>(bytes.count); }

double gathered(const Relief::Worker& worker) { return count(*worker.used - *worker.floor); }

// A recycle brings it from the line, or above, to clearly below. Where it is near another limit of its own (of its address
// space, RLIMIT_AS) nobody knows what a recycle would win.
bool ends_below(const Relief::Worker& worker, double line) {
    const double mark = clearly_below * line * count(*worker.limit);
    return count(*worker.floor) < mark && count(*worker.used) >= mark;
}

} // namespace

void LowWater::see(Instant now, Bytes used) {
    if (now - began_ >= gap) since_.reset(); // what was seen before it is too old
    if (!since_) {
        before_.reset();
        began_ = now;
    }
    if (now - began_ >= span) {
        before_ = std::exchange(since_, std::nullopt);
        began_ = now;
    }
    since_ = std::min(since_.value_or(used), used);
}

std::optional<Bytes> LowWater::least() const {
    if (!before_ || !since_) return std::nullopt;
    return std::min(*before_, *since_);
}

Relief::Past Relief::Past::again(Instant now) const {
    const bool at_once = ended && now - *ended < 2 * rest;
    return {now, at_once ? std::min(2 * rest, longest_rest) : first_rest};
}

Relief::Verdict Relief::choose(Instant now, std::span<const Worker> workers, const Full& full) {
    if (full.last && now - *full.last < pause) return {};
    if (!full.own && full.limit.count <= 0) return {}; // what is near is not known for a moment
    const Worker* best = nullptr;
    double gain = 0;
    bool too_early = false, rests = false, any = false, grown = false;
    for (const Worker& worker : workers) {
        too_early |= worker.busy;
        if (!worker.recyclable || worker.busy) continue;
        any = true;
        if (!worker.used || !worker.floor || !worker.limit) {
            too_early = true;
            continue;
        }
        if (gathered(worker) < worth * count(*worker.used)) continue;
        grown = true;
        if (full.own && !ends_below(worker, full.line)) continue;
        if (worker.past.ended && now - *worker.past.ended < worker.past.rest) {
            rests = true;
            continue;
        }
        gain += gathered(worker);
        if (!best || gathered(worker) > gathered(*best)) best = &worker;
    }
    if (best && (full.own || gain >= felt * count(full.limit))) return {best->place, {}};
    if (too_early) return {};
    if (!any) return {{}, "nothing here can recycle its workers"};
    if (rests) return {{}, "who has gathered much was recycled for that a short time ago, and has as much again"};
    if (best) return {{}, "what its workers have gathered since they began is little of it: somebody else fills it"};
    if (grown) return {{}, "it would bring none of its workers clearly below the line"};
    return {{}, "its workers hold hardly more than the least that was ever seen of them"};
}

} // namespace plimsoll
