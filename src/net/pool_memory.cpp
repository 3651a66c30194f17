// The pool's part of memory: readings for the gate, names for what it learns (cost_labels.hpp), and what was learned.
#include <algorithm>
#include <utility>

#include "net/pool.hpp"

namespace plimsoll::net {

CostKey Pool::cost_label(std::string_view method, std::string_view target) {
    if (!cost_labels_.on()) return 0;
    const auto found = cost_labels_.find(method, target);
    for (const CostLabels::Fresh& fresh : found.fresh)
        if (fresh.key != 0) {
            const std::lock_guard lock(mutex_);
            gate_.costs().take_over(fresh.key, fresh.like, fresh.likeness);
        }
    return found.key;
}

Bytes Pool::expected_need(CostKey label) const {
    const std::lock_guard lock(mutex_);
    return gate_.memory().costs().expected(label);
}

void Pool::observe(WorkerKey worker, double pressure, const MemorySight& sight) {
    const bool limited = sight.limit || std::ranges::any_of(sight.domains, [](DomainKey key) { return key != 0; });
    const std::lock_guard lock(mutex_);
    const PoolPromises::Turn turn(promises_, gate_, false);
    gate_.observe(Clock::now(), worker, pressure, sight);
    if (limited) cost_labels_.turn_on();
}

void Pool::observe_domain(DomainKey domain, std::optional<Bytes> use, std::optional<Bytes> limit) {
    const std::lock_guard lock(mutex_);
    // What others hold of the use is not what is held without requests.
    const PoolPromises::Turn turn(promises_, gate_, true);
    gate_.observe_domain(domain, use, limit);
}

void Pool::share_domain(DomainKey key, const std::shared_ptr<SharedPromises>& table, const std::string& domain) {
    const std::lock_guard lock(mutex_);
    promises_.join(key, table, domain);
}

void Pool::forget_domain(DomainKey key) {
    const std::lock_guard lock(mutex_);
    promises_.leave(key);
    gate_.promised_elsewhere(key, {});
    gate_.observe_domain(key, {}, {});
}

void Pool::about_to_read(WorkerKey worker) {
    const std::lock_guard lock(mutex_);
    gate_.about_to_read(worker);
}

void Pool::rose(WorkerKey worker, const PeakReading& reading) {
    const std::lock_guard lock(mutex_);
    for (const CostKey uneven : gate_.rose(Clock::now(), worker, reading)) cost_labels_.split(uneven);
}

void Pool::shows(WorkerKey worker, Bytes holds) {
    const std::lock_guard lock(mutex_);
    const PoolPromises::Turn turn(promises_, gate_, false);
    gate_.shows(Clock::now(), worker, holds);
}

bool Pool::needs_memory(CostKey label) const {
    const std::lock_guard lock(mutex_);
    return gate_.needs_memory(Clock::now(), label);
}

bool Pool::quiet(WorkerKey worker) const {
    const std::lock_guard lock(mutex_);
    return gate_.quiet(Clock::now(), worker);
}

bool Pool::strangers_run(WorkerKey worker) const {
    const std::lock_guard lock(mutex_);
    return gate_.strangers_run(Clock::now(), worker);
}

bool Pool::worth_reading(WorkerKey worker, Instant last_reading, Duration usual) const {
    const std::lock_guard lock(mutex_);
    return gate_.worth_reading(Clock::now(), worker, last_reading, usual);
}

bool Pool::waits_for_memory() const {
    const std::lock_guard lock(mutex_);
    return gate_.waits_for_memory();
}

std::vector<std::pair<CostKey, Pool::Need>> Pool::needs_of(CostKey most_key, unsigned least_readings) const {
    std::vector<std::pair<CostKey, Need>> all;
    const std::lock_guard lock(mutex_);
    const MemoryCosts& costs = gate_.memory().costs();
    for (CostKey key = 1; key <= most_key; ++key)
        if (costs.readings(key) >= least_readings)
            all.push_back({key, {{}, costs.expected(key), costs.at_first(key), costs.readings(key)}});
    return all;
}

std::vector<Pool::Need> Pool::known_needs() const {
    std::vector<Need> known;
    for (auto& [key, need] : needs_of(CostLabels::most_labels - 1, MemoryCosts::confident)) {
        need.label = cost_labels_.name(key);
        known.push_back(std::move(need));
    }
    return known;
}

void Pool::recall(std::span<const Need> needs) {
    for (const Need& need : needs)
        if (const CostKey key = cost_labels_.recall(need.label)) {
            const std::lock_guard lock(mutex_);
            gate_.costs().recall(key, need.expected, need.at_first);
        }
}

std::vector<Pool::Need> Pool::needs(std::size_t most) const {
    auto all = needs_of(MemoryCosts::most, 1);
    std::ranges::sort(all, std::ranges::greater{}, [](const auto& each) { return each.second.at_first; });
    std::vector<Need> needs;
    for (auto& [key, need] : all) {
        if (needs.size() >= most) break;
        need.label = cost_labels_.name(key);
        const std::lock_guard lock(mutex_);
        need.never_fits = gate_.never_fits(key);
        needs.push_back(std::move(need));
    }
    return needs;
}

} // namespace plimsoll::net
