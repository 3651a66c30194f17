#include "plimsoll/policy/breaker.hpp"

#include <algorithm>

namespace plimsoll {

std::string_view to_string(Breaker::State state) {
    switch (state) {
    case Breaker::State::passing: return "passing";
    case Breaker::State::tripped: return "tripped";
    case Breaker::State::probing: return "probing";
    }
    return "unknown";
}

bool Breaker::record(Instant now, const Settings& settings, Result result, bool probe, Duration retry_after) {
    if (state_ == State::probing && !probe) return false;
    if (result == Result::nothing) {
        if (state_ == State::probing) {
            state_ = State::tripped;
            until_ = now; // it is time for another probe
        }
        return false;
    }
    window_.add(now, settings.window, static_cast<std::size_t>(result));
    failed_in_a_row_ = result == Result::failed ? failed_in_a_row_ + 1 : 0;
    if (state_ == State::probing) {
        if (result == Result::good)
            release();
        else
            trip(now, settings, retry_after);
        return false;
    }
    if (state_ == State::tripped || result == Result::good) return false; // the last ones from before it tripped
    if (settings.consecutive > 0 && failed_in_a_row_ >= settings.consecutive) return true;
    const Share bad = share(now, settings);
    return bad.all >= settings.minimum && bad.value() >= settings.share;
}

void Breaker::trip(Instant now, const Settings& settings, Duration retry_after) {
    constexpr unsigned most_doublings = 16;
    const Duration rest = settings.rest * (1 << std::min(trips_in_a_row_, most_doublings));
    until_ = now + std::min(std::max(rest, retry_after), settings.longest_rest);
    state_ = State::tripped;
    ++trips_in_a_row_;
    ++trips_;
}

void Breaker::release() {
    state_ = State::passing;
    trips_in_a_row_ = 0;
    failed_in_a_row_ = 0;
    window_.clear(); // what was before would trip it again at the first failure
}

Breaker::Share Breaker::share(Instant now, const Settings& settings) const {
    const auto counts = window_.sum(now, settings.window);
    const unsigned failed = counts[static_cast<std::size_t>(Result::failed)];
    const unsigned slow = counts[static_cast<std::size_t>(Result::slow)];
    return {failed + slow, failed + slow + counts[static_cast<std::size_t>(Result::good)]};
}

} // namespace plimsoll
