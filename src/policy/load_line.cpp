#include "plimsoll/policy/load_line.hpp"

#include <algorithm>

namespace plimsoll {

namespace {

double hysteresis(double line) { return std::min(0.05, line / 4); }
constexpr double improvement = 0.01, worsening = 0.02;

} // namespace

void LoadLine::observe(Instant now, const Settings& settings, double pressure) {
    pressure_ = pressure;
    if (pressure < 0) { // or a level that is told now and then would never be found futile
        if (now - told_ >= settings.patience) state_ = State::clear;
        return;
    }
    told_ = now;
    if (pressure < settings.line - hysteresis(settings.line)) {
        state_ = State::clear;
        return;
    }
    switch (state_) {
    case State::clear:
        if (pressure < settings.line) return;
        break;
    case State::shedding:
        if (pressure <= reference_ - improvement) {
            reference_ = highest_ = pressure;
            improved_ = now;
            return;
        }
        highest_ = std::max(highest_, pressure);
        if (now - improved_ < settings.patience) return;
        state_ = State::futile;
        reference_ = highest_;
        return;
    case State::futile:
        if (pressure < reference_ + worsening) return;
        break;
    }
    state_ = State::shedding;
    reference_ = highest_ = pressure;
    improved_ = now;
}

double LoadLine::share(const Settings& settings, Priority priority) const {
    if (!shedding() || priority == Priority::critical) return 0;
    const double half = (settings.limit - settings.line) / 2;
    if (half <= 0) return priority == Priority::sheddable ? 1 : 0;
    // Within the hysteresis as much as at the line, and there already a little: else it would not be felt.
    constexpr double least = 0.1;
    const double above = std::max((pressure_ - settings.line) / half, 0.0);
    if (priority == Priority::sheddable) return std::clamp(above, least, 1.0);
    return std::clamp(above - 1, 0.0, 1.0);
}

} // namespace plimsoll
