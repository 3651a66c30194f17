#include "plimsoll/leak/troughs.hpp"

#include <algorithm>
#include <cmath>

namespace plimsoll::leak {

namespace {

constexpr double yesterday = 0.5;    // its part in the mean of the days
constexpr double least_seen = 0.3;   // of a quarter, before it counts
constexpr double little_more = 1.25; // than the least
constexpr double trough = 0.6;       // of the mean
constexpr double known_enough = 0.75;

std::size_t quarter_of(double at) {
    const double within = std::fmod(std::fmod(at, DayLoad::day) + DayLoad::day, DayLoad::day);
    return std::min(static_cast<std::size_t>(within / DayLoad::quarter), DayLoad::quarters - 1);
}

} // namespace

DayLoad::Rates DayLoad::unknown() {
    Rates rates;
    rates.fill(-1);
    return rates;
}

void DayLoad::note(double at, double seconds, double rate) {
    const std::size_t now = quarter_of(at);
    if (now != open_) close_quarter();
    open_ = now;
    requests_ += rate * seconds;
    seconds_ += seconds;
}

void DayLoad::close_quarter() {
    if (open_ < quarters && seconds_ >= least_seen * quarter) {
        const double rate = requests_ / seconds_;
        double& mean = rates_[open_];
        mean = mean < 0 ? rate : mean + yesterday * (rate - mean);
    }
    requests_ = seconds_ = 0;
}

std::optional<double> DayLoad::plan(double now, double deadline) const {
    if (deadline <= 0) return std::nullopt;
    const std::size_t first = quarter_of(now);
    const double passed = std::fmod(std::fmod(now, day) + day, day) - static_cast<double>(first) * quarter;
    // Quarter i begins i quarters after the one that is now began.
    const auto begins = [&](std::size_t i) { return static_cast<double>(i) * quarter - passed; };
    std::size_t known = 0, count = 0;
    double sum = 0, least = 0;
    for (; count < quarters && begins(count) < deadline; ++count) {
        const double rate = rates_[(first + count) % quarters];
        if (rate < 0) continue;
        least = known == 0 ? rate : std::min(least, rate);
        sum += rate;
        ++known;
    }
    if (static_cast<double>(known) < known_enough * static_cast<double>(count)) return std::nullopt;
    if (least >= trough * sum / static_cast<double>(known)) return std::nullopt;
    for (std::size_t i = count; i-- > 0;) {
        const double rate = rates_[(first + i) % quarters];
        if (rate < 0 || rate > least * little_more) continue;
        // To the beginning of its run: the whole trough is left for what goes wrong.
        while (i > 0) {
            const double before = rates_[(first + i - 1) % quarters];
            if (before < 0 || before > least * little_more) break;
            --i;
        }
        return std::max(begins(i), 0.0);
    }
    return std::nullopt;
}

} // namespace plimsoll::leak
