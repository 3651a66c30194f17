#include "plimsoll/leak/recycle_time.hpp"

#include <algorithm>

namespace plimsoll::leak {

namespace {

constexpr double quiet_bounds = 10;    // how much earlier, in bounds, a quiet moment is taken
constexpr double margin = 3;           // the next one may take so many times as long as the longest of the last
constexpr double least_lead = 10;      // seconds
constexpr double worth = 1.0 / 3;      // of its life to the limit
constexpr double much = 0.5;           // of what it may grow by
constexpr double farthest = 24 * 3600; // seconds: what gets there later is nobody's emergency

} // namespace

RecycleOutlook sooner(RecycleOutlook outlook, const LoadLineAhead& ahead) {
    const double above = ahead.limit - ahead.line;
    if (above <= 0 || ahead.line - ahead.floor < much * (ahead.limit - ahead.floor)) return outlook;
    outlook.refused = ahead.reached;
    if (ahead.growth > 0) outlook.early = std::min(outlook.early, std::max(ahead.room - above, 0.0) / ahead.growth);
    return outlook;
}

double lead_of(double bound, std::optional<double> longest, unsigned waiting) {
    if (!longest) return bound;
    return std::min(bound, std::max(least_lead, margin * *longest * std::max(waiting, 1U)));
}

RecycleTime recycle_time(const RecycleOutlook& outlook) {
    if (outlook.refused) return RecycleTime::at_once;
    if (outlook.early <= outlook.lead && !outlook.has_soft_limit) return RecycleTime::at_once;
    if (outlook.lived < worth * (outlook.lived + outlook.early)) return RecycleTime::later;
    if (outlook.quiet && outlook.early <= quiet_bounds * outlook.bound) return RecycleTime::while_quiet;
    if (outlook.trough && *outlook.trough <= 0 && outlook.early <= farthest) return RecycleTime::in_trough;
    return RecycleTime::later;
}

std::optional<double> promised_trough(const RecycleOutlook& outlook) {
    if (!outlook.trough || *outlook.trough <= 0 || outlook.early > farthest) return std::nullopt;
    if (outlook.lived + *outlook.trough < worth * (outlook.lived + outlook.early)) return std::nullopt;
    return outlook.trough;
}

} // namespace plimsoll::leak
