#include "plimsoll/leak/classify.hpp"

#include <algorithm>
#include <cmath>

#include "plimsoll/leak/forecast.hpp"

namespace plimsoll::leak {

namespace {

constexpr double window_share = 2.0 / 3;
constexpr double least_share = 0.1;    // of the headroom: growth that matters, however little it is in bytes
constexpr double enough = 0.7;         // of what is left, to come within the horizon: forecasts are no exact science
constexpr double sure_enough = 0.5;    // the slope's lower end by the slope that exhausts within the horizon
constexpr double dead_growth = 0.3;    // live bytes grow less than this part of the growth: the rest is holes
constexpr double slows_down = 0.6;     // exponent: below it the growth of each doubling shrinks fast
constexpr double slows_unproven = 0.8; // the same where no earlier process shows what comes
constexpr double the_same = 0.5;       // their growth at the same age by the present one
constexpr double little_beyond = 1.05; // the same where much is gone: a leak beside a cache that is full shows soon
constexpr double much_faster = 2;      // than others grew at that age
constexpr double bounded = 0.6;        // of the headroom: who came closer to the limit shows no bound
constexpr double busier = 1.2;         // load that rises by so much may explain what grows
constexpr double urgent = 0.42;        // of the headroom is gone: the benefit of the doubt ends
constexpr double most_with_load = 0.6; // is gone: not even load that rises explains so much
constexpr double much_is_gone = 0.85, suspicion = 0.7; // confidence

double share_between(double value, double none, double full) {
    return std::clamp((value - none) / (full - none), 0.0, 1.0);
}

} // namespace

std::string_view to_string(Class kind) {
    switch (kind) {
    case Class::unknown: return "unknown";
    case Class::steady: return "steady";
    case Class::warming: return "warming";
    case Class::cache: return "cache";
    case Class::fragmentation: return "fragmentation";
    case Class::unsharing: return "unsharing";
    case Class::leaking: return "leaking";
    }
    return "unknown";
}

double requests_ahead(const Evidence& e, const Situation& s, const Thresholds& t) {
    return std::max(s.requests_a_second * t.horizon, e.age);
}

std::optional<double> lasting_trend(const Evidence& e, double ahead) {
    if (e.load_rise >= busier) return std::nullopt;
    if (e.trend.low <= 0 || (e.exponent < slows_down && !e.steered)) return 0;
    return growth_ahead(e.age, e.trend.slope, std::clamp(e.exponent, slows_down, 1.0), ahead) / std::max(ahead, 1.0);
}

bool grew_as_much(const History::Precedent& past, double grown, double headroom, double beyond) {
    return past.peak < bounded * headroom && grown <= beyond * past.peak;
}

Finding classify(const Evidence& e, const Situation& s, const Thresholds& t) {
    const auto& past = s.precedent;
    const bool known = past && !past->others; // of this release: what others did excuses, and accuses nobody
    const double headroom = std::max(s.limit - e.floor, 1.0);
    const double room = std::max(s.limit - e.level, 1.0);
    const double window = e.age * window_share;
    const double ahead = requests_ahead(e, s, t);
    const double needed = room / ahead; // bytes a request that exhaust what is left within the horizon
    const double gone = (e.level - e.floor) / headroom;
    const double matters = std::min(t.least_growth, least_share * headroom) / (known && past->later > 0 ? 2 : 1);

    const bool real = e.trend.low > 0 && e.trend.slope * window >= matters;
    const double comes = growth_ahead(e.age, e.trend.slope, std::clamp(e.exponent, slows_down, 1.0), ahead);
    const bool exhausts = comes >= enough * room && e.trend.low >= sure_enough * needed;
    if (!real || !exhausts) {
        if (e.private_pages && e.private_pages->low > 0 && e.private_pages->slope * window >= matters &&
            e.trend.slope < dead_growth * e.private_pages->slope)
            return {Class::unsharing, 0.9};
        if (e.age < t.young && !known) return {Class::warming, 0.6};
        return {Class::steady, e.trend.high < needed ? 0.95 : 0.7, real};
    }
    if (e.live && e.live->high < dead_growth * e.trend.slope) return {Class::fragmentation, 0.9};

    const bool fades = e.exponent < slows_down && growth_ahead(e.age, e.trend.slope, e.exponent, ahead) < room;
    if (fades && !e.settles && !e.steered) return {e.age < 2 * t.young ? Class::warming : Class::cache, 0.8};

    // Whatever is known of others. Sessions follow a load that rises, and settle when it does.
    const bool may_follow_load = e.load_rise >= busier && gone < most_with_load;
    const double by_itself = gone < urgent || fades ? 0 : may_follow_load ? suspicion : much_is_gone;
    if (known && past->later >= enough * needed) {
        const double by_them =
            past->older || past->accused ? 0.9 + 0.09 * share_between(past->curves, 0, 4) : suspicion;
        return {Class::leaking, std::max(by_them, by_itself)};
    }
    const double beyond = gone >= urgent ? little_beyond : beyond_peak;
    const bool excused = past && grew_as_much(*past, e.level - e.floor, headroom, beyond);
    const bool is_another = past && past->others && e.age >= t.young && e.trend.low > much_faster * past->then;
    if (excused && !is_another) return {past->then >= the_same * e.trend.slope ? Class::cache : Class::steady, 0.9};

    if (by_itself > 0) return {Class::leaking, by_itself}; // that it settles suffices for a suspicion alone
    if (e.load_rise >= busier) return {Class::unknown, 0.5};
    if (e.age < t.young) return {Class::warming, 0.6};
    const double goes_on = std::max(e.exponent, e.late_exponent);
    if (!e.settles && goes_on < slows_unproven)
        return e.steered ? Finding{Class::unknown, 0.5} : Finding{Class::cache, 0.6};
    // More than they ever had: of what scales with the traffic that is no wonder where more comes than they ever got.
    const bool wonder = known && (past->pace == 0 || e.pace < busier * past->pace);
    return {Class::leaking, (wonder ? 0.7 : 0.5) + 0.2 * share_between(goes_on, slows_unproven, 1)};
}

} // namespace plimsoll::leak
