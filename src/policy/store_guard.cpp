#include "plimsoll/policy/store_guard.hpp"

#include <algorithm>

namespace plimsoll {

namespace {

using namespace std::chrono_literals;

constexpr Duration shortest_rest = 100ms, longest_rest = 1s;

} // namespace

StoreGuard::StoreGuard(Duration patience) {
    settings_.rest = std::max<Duration>(shortest_rest, 2 * patience);
    settings_.longest_rest = std::max<Duration>(longest_rest, settings_.rest);
}

bool StoreGuard::admits(Instant now) {
    if (!breaker_.admits(now)) return false;
    breaker_.admitted(now, settings_);
    return true;
}

StoreGuard::Change StoreGuard::record(Instant now, Breaker::Result result) {
    if (breaker_.record(now, settings_, result, breaker_.state() == Breaker::State::probing))
        breaker_.trip(now, settings_);
    return told();
}

StoreGuard::Change StoreGuard::unreachable(Instant now) {
    if (breaker_.state() == Breaker::State::passing) breaker_.trip(now, settings_);
    return told();
}

StoreGuard::Change StoreGuard::told() {
    const bool lost = breaker_.state() != Breaker::State::passing;
    if (lost == lost_) return Change::none;
    lost_ = lost;
    return lost ? Change::lost : Change::back;
}

} // namespace plimsoll
