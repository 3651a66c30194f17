#include "plimsoll/fleet/relief.hpp"

#include <algorithm>
#include <utility>

namespace plimsoll {

namespace {

constexpr double worth = 0.1;         // of what it uses
constexpr double clearly_below = 0.9; // of the line
constexpr double felt = 0.05;         // of all limits: the line's hysteresis

double gathered(const Relief::Worker& worker) { return static_cast<double>((*worker.used - *worker.floor).count); }

bool known(const Relief::Worker& worker) { return worker.serves && worker.used && worker.floor && worker.limit; }

bool below_the_line(const Relief::Worker& worker, double line) {
    return static_cast<double>(worker.floor->count) < clearly_below * line * static_cast<double>(worker.limit->count);
}

} // namespace

void LowWater::see(Instant now, Bytes used) {
    if (!since_) began_ = now;
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

Relief::Verdict Relief::choose(Instant now, std::span<const Worker> workers, double line, bool own) {
    const Worker* best = nullptr;
    double gain = 0, limits = 0;
    bool too_early = false, too_often = false;
    for (const Worker& worker : workers) {
        if (worker.relieved && now - *worker.relieved < pause) return {};
        if (!known(worker)) {
            too_early |= worker.serves;
            continue;
        }
        limits += static_cast<double>(worker.limit->count);
        if (gathered(worker) < worth * static_cast<double>(worker.used->count)) continue;
        if (own && !below_the_line(worker, line)) continue;
        if (worker.relieved && now - *worker.relieved < once_in) {
            too_often = true;
            continue;
        }
        gain += gathered(worker);
        if (!best || gathered(worker) > gathered(*best)) best = &worker;
    }
    if (best && (own || gain >= felt * limits)) return {best->place, {}};
    if (too_early) return {};
    if (too_often) return {{}, "each worker that has gathered much was recycled for that within the last hour"};
    return {{},
            best ? "what the workers have gathered since they began is little of it: somebody else fills it"
                 : "the workers hold hardly more than the least that was ever seen of them"};
}

} // namespace plimsoll
