#include "plimsoll/policy/adaptive_limit.hpp"

namespace plimsoll {

using namespace std::chrono_literals;

namespace {

constexpr double tolerance = 1.5; // of the latency, as a multiple of the base
constexpr double least_gradient = 0.5;
constexpr double smoothing = 0.4;
// The lower limit is so much lower: a larger step tells more, and costs more.
constexpr double dither_unknown = 0.3, dither_known = 0.15;
constexpr double shrink = 0.9;
constexpr double used_enough = 0.5; // share of the limit, from which it may grow; below it is not full, whatever waits
constexpr double alone = 1.2;       // mean concurrency at which a request has the worker to itself
constexpr unsigned fewest = 20;     // requests in a window
constexpr Duration shortest_window = 100ms, longest_window = 2s, longest_settling = 1s;
constexpr double memory = 0.85;   // of the elasticity, from one pair of windows to the next
constexpr double least_pairs = 3; // weight
constexpr double sure = 1.5;      // standard errors

constexpr double first_pace = 2, later_pace = 1.5;
constexpr double full_enough = 0.75;          // share of the limit in use, on average, from which it is raised
constexpr double telling_step = 0.15;         // of lnN, between two windows: less tells nothing
constexpr double above_demand = 2, a_few = 4; // of the peak
constexpr double peak_memory = 0.9;           // from one window to the next
constexpr double queueing_slack = 2;          // times N: what took longer did not wait for its like
constexpr double quartile = 0.25, quartile_step = 0.05; // of the logarithm
constexpr Duration shortest_quiet = 100ms, longest_quiet = 2s, first_quiet = 250ms;
constexpr unsigned most_blind = 3, most_doubt = 16;

} // namespace

AdaptiveLimit::AdaptiveLimit(unsigned initial) : limit_(initial), pace_(first_pace) {}

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
    if (in_flight < used_enough * limit_) quiet_since_ = now;
    most_in_flight_ = std::max(most_in_flight_, in_flight);
}

void AdaptiveLimit::begin_window(Instant now) {
    began_ = now;
    done_ = alike_ = timeouts_ = 0;
    logs_ = all_logs_ = occupied_ = 0;
    longest_took_ = Duration::zero();
    most_in_flight_ = in_flight_;
}

bool AdaptiveLimit::window_is_over(Instant now) const {
    const Duration length = now - began_;
    const unsigned telling = alike_ + timeouts_;
    const double enough = std::max<double>(fewest, 2 * std::min<double>(limit_, most_in_flight_));
    return (telling >= enough && length >= std::max<Duration>(shortest_window, settle_)) ||
           (length >= longest_window && (telling >= fewest / 2 || done_ >= fewest));
}

bool AdaptiveLimit::comparable(Duration took) const {
    if (usual_ == 0) return true;
    const double factor = queueing_slack * std::max(2U, in_flight_ + 1), seconds = to_seconds(took);
    return seconds <= usual_ * factor && seconds * factor >= usual_;
}

void AdaptiveLimit::settle_usual(double took) {
    if (settled_++ == 0) {
        usual_ = took;
        return;
    }
    const double step = std::max(quartile_step, 2.0 / settled_);
    usual_ *= std::exp(took < usual_ ? step * (quartile - 1) : step * quartile);
}

bool AdaptiveLimit::ended(Instant now, const Settings& settings, unsigned in_flight, Duration took, Seen seen) {
    occupy(now, in_flight);
    if (began_ == Instant{}) begin_window(now);
    if (seen == Seen::nothing) return false;
    if (seen == Seen::timeout) {
        ++timeouts_;
    } else {
        const double seconds = std::max(to_seconds(took), 1e-6);
        const bool alike = comparable(took);
        settle_usual(seconds);
        all_logs_ += std::log(seconds);
        if (alike) {
            ++alike_;
            logs_ += std::log(seconds);
            longest_took_ = std::max(longest_took_, took);
            quiet_since_ = now;
            blind_ = 0;
        }
    }
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

bool AdaptiveLimit::awaited(Instant now, const Settings& settings) {
    const double before = before_ > 0 ? before_ : limit_;
    const bool enough = blind_ >= most_blind || limit_ >= before * (1 << most_blind) || limit_ >= settings.max;
    if (enough || timeouts_ > 0 || in_flight_ < limit(settings)) return false;
    const Duration usual = usual_ == 0 ? first_quiet : 2 * from_seconds(usual_);
    const Duration patience = std::clamp<Duration>(usual, shortest_quiet, longest_quiet) * (doubt_ << blind_);
    if (now - quiet_since_ < patience) return false;
    pace_ = first_pace;
    raise(settings);
    before_ = before;
    most_blind_ = std::max(most_blind_, ++blind_);
    quiet_since_ = now;
    has_last_ = false;
    settling_ = true;
    settle_ = Duration::zero();
    occupy(now, in_flight_);
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

void AdaptiveLimit::forget_elasticity() {
    has_last_ = false;
    weight_ = sum_xx_ = sum_xy_ = sum_yy_ = 0;
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

void AdaptiveLimit::raise(const Settings& settings) {
    before_ = limit_;
    const double most =
        std::min<double>(settings.max, std::max<double>(settings.initial, above_demand * most_in_flight_ + a_few));
    limit_ = std::max(limit_, std::min(limit_ * pace_, most));
    lowered_ = false;
}

void AdaptiveLimit::fall_back() {
    if (most_blind_ > 1) doubt_ = std::min(doubt_ * 4, most_doubt);
    limit_ = before_;
    before_ = 0;
    most_blind_ = 0;
    starting_ = false;
    pace_ = later_pace;
    forget_elasticity();
}

void AdaptiveLimit::keep_raised() {
    if (most_blind_ > 0) doubt_ = 1;
    before_ = 0;
    most_blind_ = 0;
}

// Of the last two windows; 1 where they cannot tell.
double AdaptiveLimit::since_last(double concurrency, double throughput) const {
    const double dx = std::log(concurrency) - last_concurrency_;
    return has_last_ && dx >= telling_step ? (std::log(throughput) - last_throughput_) / dx : 1;
}

void AdaptiveLimit::learn_unlimited(double gradient, const Settings& settings) {
    if (before_ > 0 && gradient < 1) return fall_back();
    keep_raised();
    has_last_ = false; // clients come and go: what they do to the throughput is not the worker's doing
    lowered_ = false;
    const double demand =
        gradient < 1 ? most_in_flight_ : std::max<double>(settings.initial, above_demand * peak_ + a_few);
    limit_ = std::clamp(demand, static_cast<double>(settings.min), std::max<double>(limit_, settings.min));
}

void AdaptiveLimit::follow(double gradient) {
    const double wanted = gradient * limit_ + std::sqrt(limit_);
    if (verdict() == Verdict::saturated && wanted > limit_ * shrink)
        limit_ *= shrink;
    else
        limit_ += smoothing * (wanted - limit_);
    if (timeouts_ > 0) limit_ *= shrink;
}

void AdaptiveLimit::learn(Instant now, const Settings& settings) {
    const double length = to_seconds(now - began_);
    peak_ = std::max<double>(most_in_flight_, peak_memory * peak_);
    if (timeouts_ * 2 > done_) { // it answers nobody: what a latency would be is unknown
        if (before_ > 0) fall_back();
        limit_ = std::max<double>(limit_ * shrink, settings.min);
        return;
    }
    if (alike_ < fewest / 2) { // other requests than before, or all of them have become much slower
        usual_ = base_ = std::exp(all_logs_ / (done_ - timeouts_));
        forget_elasticity();
        return;
    }
    const double latency = std::exp(logs_ / alike_), concurrency = occupied_ / length,
                 throughput = concurrency / latency;
    const bool limited = most_in_flight_ >= limit(settings) && concurrency >= used_enough * limit(settings);
    settle_base(latency, concurrency, verdict() == Verdict::scales);
    const double gradient = std::clamp(tolerance * base_ / latency, least_gradient, 1.0);
    if (!limited) return learn_unlimited(gradient, settings);
    if (before_ > 0) {
        if (gradient < 1 || since_last(concurrency, throughput) < 0.5) return fall_back();
        pace_ = std::min(pace_ * pace_, first_pace);
        keep_raised();
        has_last_ = false;
    }
    learn_elasticity(concurrency, throughput);
    const bool more = gradient == 1 && timeouts_ == 0 && verdict() != Verdict::saturated;
    starting_ = more && (starting_ || verdict() == Verdict::scales);
    const bool full = concurrency >= full_enough * limit_ && limit_ < settings.max;
    if (starting_ && !lowered_ && full) return raise(settings);
    if (!starting_ || !lowered_) follow(gradient);
    limit_ = std::clamp(limit_, static_cast<double>(settings.min), static_cast<double>(settings.max));
    lowered_ = !lowered_;
}

} // namespace plimsoll
