#include "plimsoll/policy/memory_costs.hpp"

#include <algorithm>
#include <utility>

namespace plimsoll {

namespace {

constexpr double quantile = 0.99;
constexpr double falls_by = 0.75, rises_by = 0.02; // a floor, of the way to the new reading
constexpr double clearly_higher = 1.5;             // than the floor of every other label that ran
constexpr unsigned smoothing = 64;

} // namespace

const MemoryCosts::Cost* MemoryCosts::find(CostKey label) const {
    return label == 0 || label >= costs_.size() ? nullptr : &costs_[label];
}

MemoryCosts::Cost* MemoryCosts::make(CostKey label) {
    if (label == 0 || label > most) return nullptr;
    if (costs_.size() <= label) costs_.resize(label + std::size_t{1});
    return &costs_[label];
}

void MemoryCosts::rose(std::span<const CostKey> labels, Bytes rise) {
    rise = std::max(rise, Bytes{});
    const auto bytes = static_cast<double>(rise.count);
    CostKey blamed = 0;
    double highest = -1, next = -1;
    for (const CostKey label : labels) {
        Cost* cost = make(label);
        if (!cost) return; // an unknown one ran, too: whose doing it was cannot be told
        if (cost->floor < 0) cost->floor = bytes;
        if (label == blamed) continue;
        if (cost->floor > highest) {
            next = std::exchange(highest, cost->floor);
            blamed = label;
        } else {
            next = std::max(next, cost->floor);
        }
    }
    // A label that is in the list twice moves as if it had been seen twice, which changes nothing in the order of floors.
    for (const CostKey label : labels) {
        Cost& cost = costs_[label];
        cost.floor += (bytes - cost.floor) * (bytes < cost.floor ? falls_by : rises_by);
    }
    if (blamed == 0 || highest < clearly_higher * next) return;
    const auto times = std::ranges::count(labels, blamed);
    costs_[blamed].rises.add(Bytes{rise.count / times});
}

void MemoryCosts::kept(CostKey label, Bytes retained) {
    Cost* cost = make(label);
    if (!cost) return;
    cost->retained_readings = std::min(cost->retained_readings + 1, smoothing);
    cost->retained += (static_cast<double>(retained.count) - cost->retained) / cost->retained_readings;
}

void MemoryCosts::forget(CostKey label) {
    if (find(label)) costs_[label] = Cost{};
}

unsigned MemoryCosts::readings(CostKey label) const {
    const Cost* cost = find(label);
    return cost ? cost->rises.count() : 0;
}

bool MemoryCosts::known(CostKey label) const { return readings(label) >= confident; }

Bytes MemoryCosts::expected(CostKey label) const {
    return known(label) ? find(label)->rises.quantile(quantile) : Bytes{};
}

Bytes MemoryCosts::retained(CostKey label) const {
    const Cost* cost = find(label);
    return cost ? Bytes{static_cast<std::int64_t>(cost->retained)} : Bytes{};
}

} // namespace plimsoll
