#include "plimsoll/policy/memory_costs.hpp"

#include <algorithm>
#include <utility>

namespace plimsoll {

namespace {

constexpr double quantile = 0.99, middle = 0.5;
constexpr double falls_by = 0.75, rises_by = 0.02; // a floor, of the way to the new reading
constexpr double clearly_higher = 1.5;             // than the floor of every other label that ran
constexpr unsigned enough_to_compare = 20;         // readings
constexpr std::int64_t unlike = 4;                 // times the median
constexpr std::size_t most_kin = 3; // a target, its template, their family: keys that change hands make no circle

} // namespace

const MemoryCosts::Cost* MemoryCosts::find(CostKey label) const {
    return label == 0 || label >= costs_.size() ? nullptr : &costs_[label];
}

MemoryCosts::Cost* MemoryCosts::make(CostKey label) {
    if (label == 0 || label > most) return nullptr;
    if (costs_.size() <= label) costs_.resize(label + std::size_t{1});
    return &costs_[label];
}

void MemoryCosts::rose(std::span<const Ran> ran, Bytes rise, Bytes light) {
    rise = std::max(rise, Bytes{});
    if (rise <= light) {
        for (const Ran& each : ran)
            if (Cost* cost = each.ended ? make(each.label) : nullptr) {
                learn(each.label, rise);
                cost->floor = static_cast<double>(rise.count);
            }
        return;
    }
    const auto bytes = static_cast<double>(rise.count);
    const Ran* blamed = nullptr;
    double highest = -1, next = -1;
    for (const Ran& each : ran) {
        Cost* cost = make(each.label);
        if (!cost) return; // one without a name ran, too: whose doing it was cannot be told
        if (cost->floor < 0) cost->floor = bytes;
        if (cost->floor > highest) {
            next = std::exchange(highest, cost->floor);
            blamed = &each;
        } else {
            next = std::max(next, cost->floor);
        }
    }
    for (const Ran& each : ran) {
        Cost& cost = costs_[each.label];
        cost.floor += (bytes - cost.floor) * (bytes < cost.floor ? falls_by : rises_by);
    }
    if (!blamed || highest < clearly_higher * next) return;
    learn(blamed->label, Bytes{rise.count / std::max(1U, blamed->at_once)});
}

// The first readings of a label tell what others like it will need at first, too.
void MemoryCosts::learn(CostKey label, Bytes rise) {
    for (std::size_t kin = 0; label != 0 && label < costs_.size() && kin < most_kin; ++kin) {
        Cost& cost = costs_[label];
        const bool at_first = cost.rises.count() < confident;
        cost.rises.add(rise);
        label = at_first ? cost.like : CostKey{0};
    }
}

void MemoryCosts::asked(Instant now, CostKey label) {
    Cost* cost = make(label);
    if (!cost || cost->likeness != Likeness::of_a_family) return;
    if (cost->asked == Instant{}) cost->asked = now;
    if (now - cost->asked >= family_for) cost->like = 0;
}

void MemoryCosts::began(Instant now, CostKey label) {
    Cost* cost = make(label);
    if (!cost) return;
    if (cost->first == Instant{}) cost->first = now;
    cost->last = now;
}

void MemoryCosts::take_over(CostKey label, CostKey like, Likeness likeness) {
    if (like != 0) make(like); // before a reference to another is held
    Cost* cost = make(label);
    if (!cost) return;
    *cost = Cost{};
    cost->like = like == label ? CostKey{0} : like;
    cost->likeness = likeness;
}

void MemoryCosts::recall(CostKey label, Bytes expected) {
    Cost* cost = readings(label) > 0 ? nullptr : make(label);
    for (unsigned i = 0; cost && i < confident; ++i) cost->rises.add(expected);
}

void MemoryCosts::shows(CostKey label, Bytes rise) {
    if (Cost* cost = known(label) ? nullptr : make(label)) cost->shown = std::max(cost->shown, rise);
}

bool MemoryCosts::cold(Instant now, CostKey label) const {
    if (label == 0 || label > most || known(label)) return false;
    const Cost* cost = find(label);
    return !cost || cost->first == Instant{} || now - cost->first < cold_for;
}

unsigned MemoryCosts::readings(CostKey label) const {
    const Cost* cost = find(label);
    return cost ? cost->rises.count() : 0;
}

Bytes MemoryCosts::expected(CostKey label) const {
    bool family = false;
    for (std::size_t kin = 0; kin < most_kin; ++kin) {
        const Cost* cost = find(label);
        if (!cost) return {};
        const unsigned count = cost->rises.count();
        if (family) return count > confident ? cost->rises.quantile(middle) : Bytes{}; // so many are not one member's
        if (count >= confident) return cost->rises.quantile(quantile);
        if (count > 0 || cost->shown > Bytes{}) return std::max(cost->shown, cost->rises.quantile(quantile));
        family = cost->likeness == Likeness::of_a_family;
        label = cost->like;
    }
    return {};
}

bool MemoryCosts::uneven(CostKey label, Bytes light) const {
    const Cost* cost = find(label);
    if (!cost || cost->rises.count() < enough_to_compare) return false;
    const Bytes most_needed = cost->rises.quantile(quantile);
    return most_needed > light && most_needed.count > unlike * cost->rises.quantile(0.5).count;
}

Instant MemoryCosts::last_began(CostKey label) const {
    const Cost* cost = find(label);
    return cost ? cost->last : Instant{};
}

} // namespace plimsoll
