#include "plimsoll/policy/adaptive_limit.hpp"

namespace plimsoll {

using namespace std::chrono_literals;

namespace {

constexpr double tolerance = 1.5; // of the latency, as a multiple of the base
constexpr double least_gradient = 0.5;
constexpr double smoothing = 0.4;
// The lower limit is so much lower: a larger step tells more, and costs more.
constexpr double dither_unknown = 0.3, dither_known = 0.15;
constexpr double shrink = 0.9, start_growth = 1.25;
constexpr double used_enough = 0.5; // share of the limit, from which it may grow
constexpr double alone = 1.2;       // mean concurrency at which a request has the worker to itself
constexpr unsigned fewest = 20;     // requests in a window
constexpr Duration shortest_window = 100ms, longest_window = 5s, longest_settling = 3s;
constexpr double memory = 0.85;   // of the elasticity, from one pair of windows to the next
constexpr double least_pairs = 3; // weight
constexpr double sure = 1.5;      // standard errors

} // namespace

unsigned AdaptiveLimit::limit(const Settings& settings) const {
    const double bounded = std::clamp(limit_, static_cast<double>(settings.min), static_cast<double>(settings.max));
    const auto whole = static_cast<unsigned>(std::lround(bounded));
    if (!lowered_) return whole;
    const auto step = std::max(1U, static_cast<unsigned>(std::lround(
                                       bounded * (verdict() == Verdict::unknown ? dither_unknown : dither_known))));
    return std::max(whole, settings.min + step) - step;
}

Duration AdaptiveLimit::base() const {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(base_));
}

void AdaptiveLimit::occupy(Instant now, unsigned in_flight) {
    occupied_ += in_flight_ * to_seconds(std::max(now - occupied_since_, Duration::zero()));
    occupied_since_ = now;
    in_flight_ = in_flight;
    most_in_flight_ = std::max(most_in_flight_, in_flight);
}

void AdaptiveLimit::begin_window(Instant now) {
    began_ = now;
    done_ = timeouts_ = 0;
    latency_sum_ = occupied_ = 0;
    longest_took_ = Duration::zero();
    most_in_flight_ = in_flight_;
}

bool AdaptiveLimit::window_is_over(Instant now) const {
    const Duration length = now - began_;
    const double enough = std::max<double>(fewest, 2 * limit_);
    return (done_ >= enough && length >= std::max<Duration>(shortest_window, settle_)) ||
           (length >= longest_window && done_ >= fewest / 2);
}

bool AdaptiveLimit::ended(Instant now, const Settings& settings, unsigned in_flight, Duration took, Seen seen) {
    occupy(now, in_flight);
    if (began_ == Instant{}) begin_window(now);
    if (seen == Seen::nothing) return false;
    if (seen == Seen::timeout)
        ++timeouts_;
    else
        latency_sum_ += to_seconds(took);
    longest_took_ = std::max(longest_took_, took);
    ++done_;
    if (settling_) {
        const bool over = done_ >= limit_ && now - began_ >= settle_;
        if (!over && now - began_ < longest_settling) return false;
        settling_ = false;
        begin_window(now);
        return false;
    }
    if (!window_is_over(now)) return false;
    learn(now, settings);
    settling_ = true;
    settle_ = std::min<Duration>(longest_took_, longest_settling);
    begin_window(now);
    return true;
}

void AdaptiveLimit::learn_elasticity(double concurrency, double throughput) {
    const double x = std::log(concurrency), y = std::log(throughput);
    if (has_last_) {
        const double dx = x - last_concurrency_, dy = y - last_throughput_;
        weight_ = memory * weight_ + 1;
        sum_xx_ = memory * sum_xx_ + dx * dx;
        sum_xy_ = memory * sum_xy_ + dx * dy;
        sum_yy_ = memory * sum_yy_ + dy * dy;
    }
    last_concurrency_ = x;
    last_throughput_ = y;
    has_last_ = true;
}

AdaptiveLimit::Verdict AdaptiveLimit::verdict() const {
    if (weight_ < least_pairs || sum_xx_ <= 0) return Verdict::unknown;
    const double elasticity = sum_xy_ / sum_xx_;
    const double left = std::max(sum_yy_ - elasticity * sum_xy_, 0.0); // sum of the squares of what it does not explain
    const double error = std::sqrt(left / (weight_ - 1) / sum_xx_);
    if (elasticity + sure * error < 0.5) return Verdict::saturated;
    if (elasticity - sure * error > 0.5) return Verdict::scales;
    return Verdict::unknown;
}

void AdaptiveLimit::settle_base(double latency, double concurrency, bool scales) {
    if (base_ == 0)
        base_ = latency;
    else if (latency < base_ || concurrency <= alone)
        base_ += 0.3 * (latency - base_);
    else if (scales)
        base_ += 0.2 * (latency - base_);
}

void AdaptiveLimit::learn(Instant now, const Settings& settings) {
    const double length = to_seconds(now - began_);
    if (timeouts_ * 2 > done_) { // it answers nobody: what a latency would be is unknown
        limit_ = std::max<double>(limit_ * shrink, settings.min);
        return;
    }
    const double latency = latency_sum_ / (done_ - timeouts_);
    const double concurrency = occupied_ / length;
    const bool limited = most_in_flight_ >= limit(settings) && concurrency >= used_enough * limit(settings);
    const Verdict said = verdict();
    settle_base(latency, concurrency, said == Verdict::scales);
    if (!limited) {
        has_last_ = false; // clients come and go: what they do to the throughput is not the worker's doing
        lowered_ = false;
        return;
    }
    learn_elasticity(concurrency, concurrency / latency); // Little's law: counting would depend on where a window ends
    const double gradient = std::clamp(tolerance * base_ / latency, least_gradient, 1.0);
    const double wanted = gradient * limit_ + std::sqrt(limit_);
    const bool saturated = verdict() == Verdict::saturated;
    starting_ = starting_ && gradient == 1 && !saturated;
    if (starting_)
        limit_ *= start_growth;
    else if (saturated && wanted > limit_ * shrink)
        limit_ *= shrink;
    else
        limit_ += smoothing * (wanted - limit_);
    if (timeouts_ > 0) limit_ *= shrink;
    limit_ = std::clamp(limit_, static_cast<double>(settings.min), static_cast<double>(settings.max));
    lowered_ = !lowered_;
}

} // namespace plimsoll
