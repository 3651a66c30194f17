#include "plimsoll/policy/rate_limit.hpp"

#include <algorithm>
#include <cmath>

namespace plimsoll {

namespace {

constexpr Duration one_second = std::chrono::seconds{1};

std::uint64_t whole_seconds(Duration span) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(std::chrono::ceil<std::chrono::seconds>(span).count(), 1));
}

// 0 marks an empty entry. One key in 2^64 shares its count with another.
std::uint64_t not_empty(std::uint64_t key) { return key == 0 ? 1 : key; }

} // namespace

RateRule RateRule::per_second(double rate, unsigned burst, unsigned cost) {
    constexpr double nanoseconds = 1e9;
    const double longest = 3.2e17 / (burst + 1.0); // a window of ten years: times still fit, whoever adds to them
    const auto interval = static_cast<Duration::rep>(std::clamp(std::round(nanoseconds / rate), 1.0, longest));
    return {Duration{interval}, burst, cost};
}

Duration spread_upwards(Duration retry_after, double draw) {
    const auto least = std::chrono::ceil<std::chrono::seconds>(retry_after);
    const auto choices = (least.count() + 1) / 2 + 1;
    return least + std::chrono::seconds{static_cast<std::int64_t>(draw * static_cast<double>(choices))};
}

RateVerdict given_back(const RateRule& rule, const RateVerdict& passed) {
    RateVerdict verdict = passed;
    verdict.remaining += rule.cost;
    verdict.whole_after -= std::min(verdict.whole_after, rule.interval * static_cast<Duration::rep>(rule.cost));
    return verdict;
}

RateQuota quota_of(const RateRule& rule, const RateVerdict& verdict) {
    const auto reset = whole_seconds(verdict.whole_after);
    if (rule.window() >= one_second)
        return {std::uint64_t{rule.burst} + 1, whole_seconds(rule.window()), verdict.remaining, reset};
    const auto within = [&](Duration span) { return static_cast<std::uint64_t>(span / rule.interval); };
    const auto remaining = verdict.allowed ? within(one_second - std::min(verdict.whole_after, one_second))
                                           : std::uint64_t{verdict.remaining};
    return {within(one_second), 1, remaining, reset};
}

RateTable::RateTable(std::size_t keys) : sets_(std::max<std::size_t>(1, (keys + keys_a_set - 1) / keys_a_set)) {}

RateTable::Sets RateTable::sets_of(std::uint64_t key) {
    // The high halves: the low bits may have chosen the stripe already. Those of the product follow from all bits of the key.
    constexpr std::uint64_t odd = 0x9e3779b97f4a7c15; // 2^64 over the golden ratio
    const auto at = [this](std::uint64_t hash) { return &sets_[(hash >> 32) * sets_.size() >> 32]; };
    const Sets sets{at(key), at(key * odd)};
    __builtin_prefetch(sets[1]);
    return sets;
}

RateTable::Entry* RateTable::find(const Sets& sets, std::uint64_t key) {
    for (Set* const set : sets)
        for (Entry& entry : set->entries)
            if (entry.key == key) return &entry;
    return nullptr;
}

RateTable::Entry& RateTable::entry_of(std::uint64_t key, Duration::rep now) {
    const Sets sets = sets_of(key);
    if (Entry* const known = find(sets, key)) return *known;
    const auto in_debt = [now](const Entry& entry) { return entry.key != 0 && entry.tat > now; };
    const auto debts = [&](const Set& set) { return std::ranges::count_if(set.entries, in_debt); };
    const auto oldest_of = [](Set& set) { return &*std::ranges::min_element(set.entries, {}, &Entry::tat); };
    const auto first = debts(*sets[0]), second = debts(*sets[1]);
    Entry* oldest = oldest_of(*sets[second < first ? 1 : 0]);
    if (in_debt(*oldest)) { // both are full
        if (Entry* const other = oldest_of(*sets[1]); other->tat < oldest->tat) oldest = other;
        ++forgotten_;
    }
    *oldest = {key, now};
    return *oldest;
}

RateVerdict RateTable::spend(Instant now, std::uint64_t key, const RateRule& rule) {
    const Duration::rep at = now.time_since_epoch().count();
    Entry& entry = entry_of(not_empty(key), at);
    const Duration::rep interval = rule.interval.count(), window = rule.window().count();
    entry.tat = std::min(entry.tat, at + window); // nobody owes more, whatever an earlier configuration allowed
    Duration::rep owed = std::max<Duration::rep>(entry.tat - at, 0); // debts now, in nanoseconds
    const Duration::rep after = owed + interval * static_cast<Duration::rep>(rule.cost);
    RateVerdict verdict;
    verdict.allowed = after <= window;
    if (verdict.allowed) {
        owed = after;
        entry.tat = at + after;
    } else {
        verdict.retry_after = Duration{after - window};
    }
    verdict.remaining = static_cast<unsigned>((window - owed) / interval);
    verdict.whole_after = Duration{owed};
    return verdict;
}

void RateTable::note(Instant now, std::uint64_t key, Duration owed) {
    const Duration::rep at = now.time_since_epoch().count();
    entry_of(not_empty(key), at).tat = at + owed.count();
}

void RateTable::give_back(std::uint64_t key, const RateRule& rule) {
    if (Entry* const entry = find(sets_of(not_empty(key)), not_empty(key)))
        entry->tat -= rule.interval.count() * static_cast<Duration::rep>(rule.cost);
}

} // namespace plimsoll
