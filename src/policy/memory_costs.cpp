#include "plimsoll/policy/memory_costs.hpp"

#include <algorithm>
#include <utility>

namespace plimsoll {

namespace {

constexpr double quantile = 0.99;
constexpr double falls_by = 0.75, rises_by = 0.02; // a floor, of the way to the new reading
constexpr double clearly_higher = 1.5;             // than the floor of every other label that ran
constexpr unsigned enough_to_compare = 20;         // readings
constexpr std::int64_t unlike = 4;                 // times the median

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
                cost->rises.add(rise);
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
    costs_[blamed->label].rises.add(Bytes{rise.count / std::max(1U, blamed->at_once)});
}

void MemoryCosts::began(Instant now, CostKey label) {
    Cost* cost = make(label);
    if (!cost) return;
    if (cost->first == Instant{}) cost->first = now;
    cost->last = now;
}

void MemoryCosts::take_over(CostKey label, CostKey like) {
    Cost* cost = make(label);
    if (!cost) return;
    *cost = Cost{};
    cost->like = like == label ? CostKey{0} : like;
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
    const Cost* cost = find(label);
    if (!cost) return {};
    const unsigned count = cost->rises.count();
    if (count >= confident) return cost->rises.quantile(quantile);
    const bool stranger = count == 0 && cost->shown == Bytes{} && cost->like != 0;
    return stranger ? expected(cost->like) : std::max(cost->shown, cost->rises.quantile(quantile));
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
