#include "plimsoll/leak/detector.hpp"

#include <algorithm>
#include <cmath>

#include "plimsoll/leak/deceleration.hpp"
#include "plimsoll/leak/swing.hpp"

namespace plimsoll::leak {

namespace {

constexpr double first_width = 4;       // requests: who leaks by the mebibyte has not many
constexpr std::size_t least_blocks = 6; // in the window: fewer draw no line
constexpr std::size_t most_blocks = 64;
constexpr std::size_t least_live = 4; // readings of live bytes: of a heap full of holes they take long, and come seldom
constexpr double next_look = 1.0 / 32, next_look_at_a_stretch = 1.0 / 8; // growth of the age between two looks
constexpr double left_of_it = 0.75; // of the requests to the limit, as the last look had them: time for another one
constexpr double persistence = 1.2;
constexpr double accuse_from = 0.6, acquit_below = 0.4; // of the answers since age / persistence
constexpr double hurry = 0.40;                          // of the headroom is gone: one answer is enough
constexpr double doubt = 0.98;                          // of the confidence, with each answer that does not support it
constexpr double dealt_evenly = 6; // of the age from which it was called leaking while lots were drawn
constexpr double late_from = 4;    // times the age gate: from then on a leak may be late
constexpr double wide = 2.5;       // Sen's interval for neighbours that resemble each other

// Requests a second in the last third of the window by those in the first.
double load_rise(std::span<const Point> clock) {
    const std::size_t third = clock.size() / 3;
    if (third < 2) return 1;
    const auto pace = [](const Point& from, const Point& to) {
        return (to.x - from.x) / std::max(to.y - from.y, 1e-3);
    };
    const double early = pace(clock.front(), clock[third]), late = pace(clock[clock.size() - 1 - third], clock.back());
    return early > 0 ? late / early : 1;
}

} // namespace

Detector::Detector(std::uint64_t life, Thresholds thresholds, Looks looks)
    : thresholds_(thresholds), next_look_(looks == Looks::at_a_life ? next_look : next_look_at_a_stretch),
      used_(first_width), live_(first_width, most_blocks, 1), private_(first_width), clock_(first_width) {
    curve_.life = life;
    if (looks == Looks::at_a_life) late_.emplace(thresholds);
}

void Detector::observe(const Reading& reading) {
    age_ = std::max(age_, reading.requests);
    if (reading.steered) {
        if (!steered_from_ && verdict_.kind == Class::leaking) steered_from_ = age_;
        steered_at_ = age_;
    }
    used_.add(age_, reading.used);
    highest_used_ = std::max(highest_used_, reading.used);
    if (!used_.points().empty()) highest_ = std::max(highest_, used_.points().back().y);
    clock_.add(age_, reading.seconds);
    if (reading.live) live_.add(age_, *reading.live);
    if (reading.private_pages) private_.add(age_, *reading.private_pages);
    if (is_late()) late_->observe(reading, *this);
}

bool Detector::is_late() const { return late_ && age_ >= late_from * thresholds_.young; }

std::vector<double> Detector::paces() const {
    const auto marks = clock_.since(0);
    std::vector<double> found;
    const std::size_t step = std::max<std::size_t>(marks.size() / 4, 1);
    for (std::size_t i = step; i < marks.size(); i += step) {
        const double seconds = marks[i].y - marks[i - step].y;
        if (seconds > 0) found.push_back((marks[i].x - marks[i - step].x) / seconds);
    }
    return found;
}

double Detector::pace() const {
    const auto all = paces();
    return all.empty() ? 0 : all.back();
}

LateOnset::Life Detector::so_far() const {
    const auto all = paces();
    return {highest_, all.empty() ? 0 : std::ranges::max(all), floor()};
}

double Detector::floor() const {
    const auto lowest = std::ranges::min_element(used_.points(), {}, &Point::y);
    return lowest == used_.points().end() ? 0 : lowest->y;
}

std::optional<Evidence> Detector::evidence() const {
    const auto window = used_.since(age_ / 3);
    if (window.size() < least_blocks) return std::nullopt;
    const auto trend = theil_sen(window, wide);
    if (!trend) return std::nullopt;
    Evidence found;
    found.age = age_;
    found.trend = *trend;
    found.exponent = exponent_of(window, trend->slope);
    found.late_exponent = found.exponent;
    if (const auto late = used_.since(age_ / 2); late.size() >= 2 * least_blocks)
        if (const auto line = theil_sen(late, wide)) found.late_exponent = exponent_of(late, line->slope);
    found.settles = settles(window);
    found.floor = floor();
    // Not beyond what was seen: through a sawtooth the trend's end lies above all of its teeth.
    found.level = std::max(found.floor, std::min(trend->at(age_), std::max(highest_, used_.open_mark())));
    found.steered = verdict_.kind == Class::leaking && steered_from_ && steered_at_ >= age_ / 3 &&
                    age_ < dealt_evenly * *steered_from_;
    found.pace = so_far().pace;
    found.load_rise = load_rise(clock_.since(age_ / 3));
    if (const auto live = live_.since(age_ / 3); live.size() >= least_live) found.live = theil_sen(live, wide);
    if (const auto own = private_.since(age_ / 3); own.size() >= least_blocks)
        found.private_pages = theil_sen(own, wide);
    return found;
}

double Detector::accusing_share() const {
    if (answers_.empty()) return 0;
    const auto accusing = std::ranges::count_if(answers_, &Answer::accuses);
    return static_cast<double>(accusing) / static_cast<double>(answers_.size());
}

bool Detector::worth_a_look() const {
    if (age_ >= judged_at_ * (1 + next_look_)) return true;
    return age_ > judged_at_ && verdict_.forecast && verdict_.forecast->requests_early < left_of_it * early_at_look_;
}

void Detector::forecast_anew(double limit, double requests_a_second) {
    if (!verdict_.forecast) return;
    const double level = level_ + trend_.slope * (age_ - judged_at_);
    verdict_.forecast = forecast(limit - level, swing_, trend_, requests_a_second);
}

const Verdict& Detector::judge(double limit, double requests_a_second, const History& history) {
    told_ = judge_life(limit, requests_a_second, history);
    curve_.accused = told_.kind == Class::leaking && told_.confidence >= thresholds_.sure;
    if (!is_late() || told_.kind == Class::leaking) return told_;
    const LateOnset::Life life = so_far();
    const Verdict* began_late = late_->judge(limit, requests_a_second, life);
    if (!began_late) return told_;
    const auto past = history.precedent(age_, thresholds_.young, curve_.life, curve_.release);
    const double grown = late_->level() - life.floor, headroom = limit - life.floor;
    const bool excused = past && grown < hurry * headroom && grew_as_much(*past, grown, headroom, beyond_peak);
    if (!excused) told_ = *began_late;
    return told_;
}

const Verdict& Detector::judge_life(double limit, double requests_a_second, const History& history) {
    forecast_anew(limit, requests_a_second);
    if (!worth_a_look()) return verdict_;
    const auto found = evidence();
    if (!found) return verdict_;
    judged_at_ = age_;
    // The last low-water mark is as old as its block is wide: of a long life that is minutes, and too late is no forecast.
    level_ = std::max(found->level, std::min(found->trend.at(age_), highest_used_));
    trend_ = found->trend;
    swing_ = swing(used_.peaks_since(age_ / 3), trend_, limit - found->floor);

    const Situation situation{limit, requests_a_second,
                              history.precedent(age_, thresholds_.young, curve_.life, curve_.release)};
    const Finding finding = classify(*found, situation, thresholds_);
    const double grown = found->level - found->floor;
    lasting_ = lasting_trend(*found, requests_ahead(*found, situation, thresholds_)).value_or(lasting_);
    if (age_ >= thresholds_.young / 4) curve_.pace = std::max(curve_.pace, found->pace); // before that it is chance
    curve_.tell(age_, {static_cast<float>(highest_ - found->floor), static_cast<float>(lasting_)});
    // Who cannot say abstains: what was said before stands.
    if (finding.kind != Class::unknown) answers_.push_back({age_, finding.kind == Class::leaking});
    while (answers_.size() > 2 && answers_.front().age * persistence < age_) answers_.pop_front();

    const bool whole_window = !answers_.empty() && answers_.front().age * persistence <= age_ * (1 + next_look_);
    const double gone = grown / std::max(limit - found->floor, 1.0);
    const bool was_leaking = verdict_.kind == Class::leaking;
    const bool leaking = was_leaking ? accusing_share() >= acquit_below
                                     : finding.kind == Class::leaking &&
                                           (gone >= hurry || (whole_window && accusing_share() >= accuse_from));
    // What was answered while it was too young to tell is no doubt of what can be told now.
    if (leaking && !was_leaking && !(whole_window && accusing_share() >= accuse_from))
        answers_.erase(answers_.begin(), std::prev(answers_.end()));
    Class kind = finding.kind;
    double confidence = finding.confidence;
    if (leaking && kind != Class::leaking) {
        kind = Class::leaking;
        confidence = verdict_.confidence * doubt;
    } else if (leaking && was_leaking) {
        confidence = std::max(confidence, verdict_.confidence * doubt);
    } else if (!leaking && kind == Class::leaking) {
        kind = Class::unknown; // it looks like a leak, and must go on doing so before it is called one
        confidence = 0.5;
    }
    if (kind != verdict_.kind) verdict_.since = age_;
    verdict_.kind = kind;
    verdict_.confidence = confidence;
    verdict_.slow = finding.slow;
    verdict_.slope = found->trend.slope;
    verdict_.low = found->trend.low;
    verdict_.high = found->trend.high;
    verdict_.forecast =
        finding.kind == Class::steady ? std::nullopt : forecast(limit - level_, swing_, trend_, requests_a_second);
    early_at_look_ = verdict_.forecast ? verdict_.forecast->requests_early : 0;
    return verdict_;
}

} // namespace plimsoll::leak
