#include "plimsoll/policy/store_guard.hpp"

#include <algorithm>

namespace plimsoll {

namespace {

using namespace std::chrono_literals;

constexpr Duration shortest_rest = 100ms, longest_rest = 1s;
constexpr Duration longest_rest_of_relapses = 2s; // one that answers most questions in time is worth being asked
constexpr Duration soon = 10s;

} // namespace

StoreGuard::StoreGuard(Duration patience) { be_patient(patience); }

void StoreGuard::replace(Duration patience) {
    be_patient(patience);
    breaker_ = {};
    passed_.reset();
    replaced_ = lost_.open();
}

void StoreGuard::be_patient(Duration patience) {
    usual_rest_ = std::max<Duration>(shortest_rest, 2 * patience);
    settings_.rest = usual_rest_;
    settings_.longest_rest = std::max<Duration>(longest_rest, usual_rest_);
}

bool StoreGuard::admits(Instant now) {
    if (!breaker_.admits(now)) return false;
    breaker_.admitted(now, settings_);
    return true;
}

StoreGuard::News StoreGuard::record(Instant now, Breaker::Result result) {
    const bool probe = breaker_.state() == Breaker::State::probing;
    if (breaker_.record(now, settings_, result, probe)) trip(now);
    const bool passes = breaker_.state() == Breaker::State::passing;
    if (probe && passes) passed_ = now;
    if (replaced_ && passes && result == Breaker::Result::good) {
        replaced_ = false;
        return lost_.close(now);
    }
    return told(now);
}

StoreGuard::News StoreGuard::unreachable(Instant now) {
    if (breaker_.state() == Breaker::State::passing) trip(now);
    return told(now);
}

void StoreGuard::trip(Instant now) {
    const bool relapse = passed_ && now - *passed_ < soon;
    const auto longest = std::max<Duration>(longest_rest_of_relapses, usual_rest_);
    settings_.rest = relapse ? std::min<Duration>(2 * settings_.rest, longest) : usual_rest_;
    settings_.longest_rest = std::max<Duration>(longest_rest, settings_.rest);
    breaker_.trip(now, settings_);
}

StoreGuard::News StoreGuard::told(Instant now) {
    const bool lost = breaker_.state() != Breaker::State::passing;
    if (!replaced_) return lost_.look(now, lost);
    if (!lost) return News::none;
    replaced_ = false;
    lost_.look(now, true);
    return News::began; // with another problem, perhaps
}

} // namespace plimsoll
