#include "plimsoll/policy/memory_costs.hpp"

#include <algorithm>
#include <utility>

namespace plimsoll {

namespace {

constexpr double middle = 0.5;
constexpr double falls_by = 0.75, rises_by = 0.02;    // a floor, of the way to the new reading
constexpr double clearly_higher = 1.5;                // than the floor of every other label that ran
constexpr unsigned enough_to_compare = 20;            // readings
constexpr std::int64_t unlike = 4;                    // times the median
constexpr unsigned patience = 30;                     // readings without, for each with
constexpr double about = 1.25;                        // a rise as high as one that nobody asked for
constexpr Duration own_for = std::chrono::minutes{5}; // to twice as long: this span and the one before are known
constexpr std::size_t most_kin = 3; // a target, its template, their family: keys that change hands make no circle

Bytes explained_by(Bytes rise) { return Bytes{static_cast<std::int64_t>(about * static_cast<double>(rise.count))}; }

} // namespace

const MemoryCosts::Cost* MemoryCosts::find(CostKey label) const {
    return label == 0 || label >= costs_.size() ? nullptr : &costs_[label];
}

MemoryCosts::Cost* MemoryCosts::make(CostKey label) {
    if (label == 0 || label > most) return nullptr;
    if (costs_.size() <= label) costs_.resize(label + std::size_t{1});
    return &costs_[label];
}

std::optional<LearnedRise> MemoryCosts::rose(std::span<const Ran> ran, Bytes rise, Bytes light, Bytes stayed) {
    rise = std::max(rise, Bytes{});
    if (rise <= light) {
        for (const Ran& each : ran)
            if (Cost* cost = each.ended ? make(each.label) : nullptr) {
                learn(each.label, rise, light);
                cost->shown = std::min(cost->shown, rise); // what others took beside it, it did not
                if (each.first) learn_first(*cost, rise, each.again);
                cost->floor = static_cast<double>(rise.count);
            }
        return std::nullopt;
    }
    const auto bytes = static_cast<double>(rise.count);
    const Ran* blamed = nullptr;
    double highest = -1, next = -1;
    for (const Ran& each : ran) {
        Cost* cost = make(each.label);
        if (!cost) return std::nullopt; // one without a name ran, too: whose doing it was cannot be told
        if (cost->floor < 0) cost->floor = bytes;
        if (cost->floor > highest) {
            next = std::exchange(highest, cost->floor);
            blamed = &each;
        } else {
            next = std::max(next, cost->floor);
        }
    }
    if (blamed && by_itself(costs_[blamed->label], rise, light)) return std::nullopt;
    for (const Ran& each : ran) {
        Cost& cost = costs_[each.label];
        cost.floor += (bytes - cost.floor) * (bytes < cost.floor ? falls_by : rises_by);
    }
    if (!blamed || highest < clearly_higher * next || explained_without(*blamed, ran, rise, light)) return std::nullopt;
    const unsigned at_once = std::max(1U, blamed->at_once);
    LearnedRise learned{blamed->label, at_once, blamed->first, Bytes{rise.count / at_once}};
    if (blamed->first) { // what stays is there once, however many began
        learned.need = Bytes{(rise - stayed).count / at_once};
        learn_first(costs_[blamed->label], stayed + learned.need, blamed->again);
    }
    learn(learned.label, learned.need, light);
    Cost& cost = costs_[learned.label]; // what a reading says is more than what it showed on the way
    if (blamed->ended) cost.shown = std::min(cost.shown, learned.need);
    return learned;
}

// What the others are known to need, those at least that have not been seen without it.
bool MemoryCosts::explained_without(const Ran& blamed, std::span<const Ran> ran, Bytes rise, Bytes light) const {
    Bytes sum;
    for (const Ran& each : ran)
        if (&each != &blamed && costs_[each.label].floor > static_cast<double>(light.count))
            sum = sum + Bytes{each.at_once * expected(each.label).count};
    return sum >= rise;
}

// Not of a stranger: it may need as much as a thread takes now and then.
bool MemoryCosts::seen_without(const Cost& cost, Bytes light) {
    return cost.floor >= 0 && cost.floor <= static_cast<double>(light.count);
}

bool MemoryCosts::by_itself(const Cost& cost, Bytes rise, Bytes light) const {
    return rise <= explained_by(std::max(own_rises_[0], own_rises_[1])) && seen_without(cost, light);
}

void MemoryCosts::rose_by_itself(Instant now, IdleRise::Seen rise, Bytes light) {
    if (rise.whole <= light) return;
    passes(now);
    own_rises_[0] = std::max(own_rises_[0], rise.whole);
    // What an earlier look at the same climb explained was taken back then.
    const Bytes barely_light{light.count / 8 * 7}; // a bucket of a sketch below
    const Bytes from = rise.before <= light ? barely_light : explained_by(rise.before), to = explained_by(rise.whole);
    if (to <= from) return;
    for (Cost& cost : costs_) {
        if (!seen_without(cost, light)) continue;
        cost.rises.halve(from, to);
        for (Bytes& each : cost.firsts)
            if (each > light && each <= to) each = {};
    }
}

void MemoryCosts::passes(Instant now) {
    if (now - own_since_ <= own_for) return;
    own_rises_ = {Bytes{}, now - own_since_ > 2 * own_for ? Bytes{} : own_rises_[0]};
    own_since_ = now;
}

void MemoryCosts::learn_first(Cost& cost, Bytes rise, bool again) {
    if (!again || cost.first_ones == 0) ++cost.first_ones;
    Bytes& last = cost.firsts[(cost.first_ones - 1) % processes];
    last = again ? std::max(last, rise) : rise;
}

// The first readings of a label tell what others like it will need at first, too.
void MemoryCosts::learn(CostKey label, Bytes rise, Bytes light) {
    for (std::size_t kin = 0; label != 0 && label < costs_.size() && kin < most_kin; ++kin) {
        Cost& cost = costs_[label];
        const bool at_first = cost.rises.count() < confident;
        if (kin == 0) {
            const Bytes most_needed = cost.rises.high(), half{most_needed.count / 2};
            if (most_needed <= light || rise > half)
                cost.without = 0;
            else if (++cost.without >= patience * cost.rises.above(half))
                cost.rises.drop_highest(1);
        }
        cost.rises.add(rise);
        label = at_first ? cost.like : CostKey{0};
    }
}

void MemoryCosts::correct(const RestingMemory::Correction& correction) {
    const LearnedRise& learned = correction.learned;
    if (!make(learned.label)) return;
    CostKey label = learned.label;
    for (std::size_t kin = 0; label != 0 && label < costs_.size() && kin < most_kin; ++kin) {
        Cost& cost = costs_[label];
        if (!cost.rises.replace(learned.need, correction.need)) return; // the key is another label's by now
        if (kin == 0) cost.shown = std::min(cost.shown, correction.need);
        if (kin == 0 && learned.first && cost.first_ones > 0)
            cost.firsts[(cost.first_ones - 1) % processes] = correction.at_first;
        label = cost.like;
    }
}

unsigned MemoryCosts::saying_so(CostKey label) const {
    const Cost* cost = find(label);
    return cost ? cost->rises.above(Bytes{cost->rises.high().count / 2}) : 0;
}

void MemoryCosts::contradict(CostKey label) {
    const unsigned saying = saying_so(label);
    if (Cost* cost = saying > 0 ? make(label) : nullptr) cost->rises.drop_highest((saying + 1) / 2);
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
    ++cost->begun;
}

// As long as none ever has, nobody has seen what it needs: it is a stranger still.
void MemoryCosts::never_began(CostKey label) {
    Cost* cost = make(label);
    if (!cost || cost->begun == 0) return; // the key is another label's by now
    if (--cost->begun == 0) cost->first = {};
}

void MemoryCosts::take_over(CostKey label, CostKey like, Likeness likeness) {
    if (like != 0) make(like); // before a reference to another is held
    Cost* cost = make(label);
    if (!cost) return;
    *cost = Cost{};
    cost->like = like == label ? CostKey{0} : like;
    cost->likeness = likeness;
}

void MemoryCosts::recall(CostKey label, Bytes expected, Bytes at_first) {
    Cost* cost = readings(label) > 0 ? nullptr : make(label);
    if (!cost) return;
    for (unsigned i = 0; i < confident; ++i) cost->rises.add(expected);
    cost->recalled = true;
    if (at_first > expected) learn_first(*cost, at_first, false);
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

bool MemoryCosts::well_known(CostKey label) const {
    const Cost* cost = find(label);
    return cost && (cost->recalled || cost->rises.count() >= enough_to_compare);
}

Bytes MemoryCosts::expected(CostKey label) const {
    bool family = false;
    for (std::size_t kin = 0; kin < most_kin; ++kin) {
        const Cost* cost = find(label);
        if (!cost) return {};
        const unsigned count = cost->rises.count();
        if (family) return count > confident ? cost->rises.quantile(middle) : Bytes{}; // so many are not one member's
        if (count >= confident) return cost->rises.high();
        if (count > 0 || cost->shown > Bytes{}) return std::max(cost->shown, cost->rises.high());
        family = cost->likeness == Likeness::of_a_family;
        label = cost->like;
    }
    return {};
}

Bytes MemoryCosts::at_first(CostKey label) const {
    const Cost* cost = find(label);
    return cost ? std::max(expected(label), std::ranges::max(cost->firsts)) : Bytes{};
}

bool MemoryCosts::uneven(CostKey label, Bytes light) const {
    const Cost* cost = find(label);
    if (!cost || cost->rises.count() < enough_to_compare) return false;
    const Bytes most_needed = cost->rises.high();
    return most_needed > light && most_needed.count > unlike * cost->rises.quantile(middle).count;
}

Instant MemoryCosts::first_began(CostKey label) const {
    const Cost* cost = find(label);
    return cost ? cost->first : Instant{};
}

Instant MemoryCosts::last_began(CostKey label) const {
    const Cost* cost = find(label);
    return cost ? cost->last : Instant{};
}

} // namespace plimsoll
