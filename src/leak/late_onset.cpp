#include "plimsoll/leak/late_onset.hpp"

#include <algorithm>

#include "plimsoll/leak/detector.hpp"

namespace plimsoll::leak {

namespace {

constexpr double lengths[] = {250, 4'000, 16'000}; // requests
constexpr double beyond_all = 0.1;                 // of the headroom, above all that was there before
constexpr double more_load = 1.2;                  // load that rises by so much may explain what grows
constexpr double benefit_of_the_doubt = 0.4;       // of the headroom is gone: the benefit of the doubt ends

} // namespace

LateOnset::LateOnset(Thresholds thresholds) : thresholds_(thresholds), told_(std::make_unique<Verdict>()) {}
LateOnset::LateOnset(LateOnset&&) noexcept = default;
LateOnset& LateOnset::operator=(LateOnset&&) noexcept = default;
LateOnset::~LateOnset() = default;

void LateOnset::begin(Stretch& stretch, double age, const Detector& life) const {
    stretch.origin = age;
    stretch.before = life.so_far();
    stretch.told = false;
    stretch.detector = std::make_unique<Detector>(0, thresholds_, Detector::Looks::at_a_stretch);
}

void LateOnset::observe(const Reading& reading, const Detector& life) {
    if (stretches_.empty()) {
        for (const double length : lengths)
            for (const double part : {1.0, 0.5}) {
                begin(stretches_.emplace_back(Stretch{length * part, 0, {}, nullptr}), reading.requests, life);
            }
    }
    for (Stretch& each : stretches_) {
        const bool over = reading.requests >= each.origin + each.length;
        if (over && each.detector->verdict().kind != Class::leaking) {
            busiest_ = std::max(busiest_, each.detector->pace());
            if (std::ranges::find(lengths, each.length) == std::end(lengths)) each.length *= 2; // half of one apart
            begin(each, reading.requests, life);
        }
        Reading own = reading;
        own.requests -= each.origin;
        each.detector->observe(own);
    }
}

const Verdict* LateOnset::judge(double limit, double requests_a_second, const Life& life) {
    const double headroom = std::max(limit - life.floor, 1.0);
    const Verdict* worst = nullptr;
    for (Stretch& each : stretches_) {
        const Verdict& seen = each.detector->judge(limit, requests_a_second, History{});
        each.told = each.told && seen.kind == Class::leaking;
        if (seen.kind != Class::leaking) continue;
        const double level = each.detector->level();
        const bool much_is_gone = level - life.floor >= benefit_of_the_doubt * headroom;
        const bool is_high = level - each.before.highest >= beyond_all * headroom;
        const bool busy = each.detector->pace() >= more_load * std::max(each.before.pace, busiest_);
        if (!each.told && (!is_high || (busy && !much_is_gone))) continue;
        each.told = true;
        if (worst && worst->confidence >= seen.confidence) continue;
        *told_ = seen;
        told_->since += each.origin;
        level_ = level;
        worst = told_.get();
    }
    return worst;
}

} // namespace plimsoll::leak
