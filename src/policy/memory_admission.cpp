#include "plimsoll/policy/memory_admission.hpp"

#include <algorithm>
#include <utility>

namespace plimsoll {

namespace {

// A cgroup is cut to those who live in it; a host has other tenants too, and many a one is meant to be nearly full. Its last third
// counts for all of it: 95 % of a host are what 85 % of a cgroup are, and the kernel kills at 100 % of both.
constexpr double host_stretch = 3;

} // namespace

void MemoryAdmission::observe(Place& place, const MemorySight& sight) {
    // A worker that moves to other domains takes what it was promised with it.
    const Bytes promised = place.running.promised();
    if (sight.domains != place.domains) {
        for (const DomainKey key : place.domains)
            if (key < domains_.size()) domains_[key].end(promised);
        place.domains = sight.domains;
        for (const DomainKey key : place.domains) {
            if (key == 0) continue;
            if (domains_.size() <= key) domains_.resize(key + std::size_t{1});
            domains_[key].promise(promised);
        }
        moved_ = true;
    }
    place.own.observe(sight.use, sight.limit);
    own_limit_ = sight.limit.value_or(Bytes{});
    judge_light();
}

void MemoryAdmission::observe_domain(DomainKey key, std::optional<Bytes> use, std::optional<Bytes> limit) {
    if (key == 0) return;
    if (domains_.size() <= key) domains_.resize(key + std::size_t{1});
    domains_[key].observe(use, limit);
    judge_light();
}

void MemoryAdmission::judge_light() {
    Bytes smallest = own_limit_;
    for (const MemoryAccount& each : domains_)
        if (each.known() && (smallest.count == 0 || each.limit() < smallest)) smallest = each.limit();
    light_ = Bytes{smallest.count / MemoryAccount::negligible};
}

std::vector<CostKey> MemoryAdmission::rose(Place& place, Bytes rise) {
    const std::vector<Ran> ran = place.running.ran();
    costs_.rose(ran, rise, light_);
    place.running.next_reading();
    std::vector<CostKey> uneven;
    for (const Ran& each : ran)
        if (costs_.uneven(each.label, light_)) uneven.push_back(each.label);
    return uneven;
}

void MemoryAdmission::shows(Instant now, Place& place, Bytes rise) {
    if (rise <= light_) return;
    for (const Ran& each : place.running.ran()) {
        if (each.ended || !costs_.cold(now, each.label)) continue;
        costs_.shows(each.label, rise);
        promise(place, place.running.raise(each.label, costs_.expected(each.label)));
        if (costs_.expected(each.label) <= light_) continue;
        // What one shows all of them are taken to need.
        InFlight& label = in_flight_[each.label];
        weighty_ += label.all - label.weighty;
        label.weighty = label.all;
        moved_ = true;
    }
}

void MemoryAdmission::promise(Place& place, Bytes need) {
    place.own.promise(need);
    for (const DomainKey key : place.domains)
        if (key != 0 && key < domains_.size()) domains_[key].promise(need);
}

bool MemoryAdmission::strangers_run(Instant now, const Place& place) const {
    return light_.count > 0 &&
           place.running.any([&](CostKey label, bool runs) { return runs && costs_.cold(now, label); });
}

bool MemoryAdmission::weighs(Instant now, CostKey label) const {
    return light_.count > 0 && label != 0 && (costs_.cold(now, label) || costs_.expected(label) > light_);
}

template <class Says> // says(account), of all that the worker shares
bool MemoryAdmission::shared_say(const Place& place, Says says) const {
    return std::ranges::all_of(place.domains,
                               [&](DomainKey key) { return key >= domains_.size() || says(domains_[key]); });
}

bool MemoryAdmission::fits(const Place& place, Bytes need) const {
    const auto has_room = [&](const MemoryAccount& each) { return each.fits(need); };
    return has_room(place.own) && shared_say(place, has_room);
}

bool MemoryAdmission::ever_fits(const Place& place, Bytes need) const {
    const auto would_have = [&](const MemoryAccount& each) { return each.ever_fits(need); };
    return would_have(place.own) && shared_say(place, would_have);
}

// No other one with a need is where it does not fit. The light ones are always there, and are the margin's business.
bool MemoryAdmission::alone(const Place& place, Bytes need) const {
    const auto has_room = [&](const MemoryAccount& each) { return each.fits(need); };
    const bool company =
        place.running.any([&](CostKey label, bool runs) { return runs && costs_.expected(label) > light_; });
    const auto empty = [&](const MemoryAccount& each) {
        return has_room(each) || (weighty_ == 0 && each.promised_by_others().count == 0);
    };
    return (has_room(place.own) || !company) && shared_say(place, empty);
}

MemoryAdmission::Verdict MemoryAdmission::ask(Instant now, const Place& place, CostKey label, Instant arrived) const {
    if (!weighs(now, label)) return Verdict::fits;
    const Bytes need = costs_.expected(label);
    if (!fits(place, need)) {
        if (ever_fits(place, need)) return Verdict::full;
        if (now - costs_.last_began(label) < try_again) return Verdict::hopeless;
        if (!alone(place, need)) return Verdict::full;
    }
    const bool others = label < in_flight_.size() && in_flight_[label].all > 0;
    if (others && costs_.cold(now, label) && now - arrived < cold_wait) return Verdict::cold;
    return Verdict::fits;
}

void MemoryAdmission::begin(Instant now, Place& place, CostKey label) {
    const Bytes need = costs_.expected(label);
    costs_.began(now, label);
    place.running.begin(label, need);
    promise(place, need);
    if (in_flight_.size() <= label) in_flight_.resize(label + std::size_t{1});
    ++in_flight_[label].all;
    if (need <= light_) return;
    ++in_flight_[label].weighty;
    ++weighty_;
    moved_ = true;
}

void MemoryAdmission::end(Place& place, CostKey label) {
    const Bytes promised = place.running.end(label);
    place.own.end(promised);
    for (const DomainKey key : place.domains)
        if (key != 0 && key < domains_.size()) domains_[key].end(promised);
    if (label >= in_flight_.size() || in_flight_[label].all == 0) return;
    --in_flight_[label].all;
    if (in_flight_[label].weighty == 0) return;
    --in_flight_[label].weighty;
    --weighty_;
    moved_ = true;
}

bool MemoryAdmission::worth_reading(Instant now, const Place& place, Instant last_reading, Duration usual) const {
    if (!place.running.any_ended()) return false;
    return now - last_reading >= usual ||
           place.running.any([&](CostKey label, bool runs) { return !runs && weighs(now, label); });
}

const MemoryAccount* MemoryAdmission::domain(DomainKey key) const {
    return key == 0 || key >= domains_.size() ? nullptr : &domains_[key];
}

void MemoryAdmission::promised_elsewhere(DomainKey key, Bytes others) {
    if (key != 0 && key < domains_.size()) domains_[key].promised_elsewhere(others);
}

Bytes MemoryAdmission::promised_to_weighty(DomainKey key) const {
    return weighty_ == 0 || key >= domains_.size() ? Bytes{} : domains_[key].promised();
}

bool MemoryAdmission::moved() { return std::exchange(moved_, false); }

double MemoryAdmission::shared_pressure(const Place& place) const {
    double worst = -1;
    for (std::size_t i = 0; i < place.domains.size(); ++i) {
        const MemoryAccount* account = domain(place.domains[i]);
        if (!account || !account->known()) continue;
        const double pressure = account->pressure();
        worst = std::max(worst, i == of_host ? std::max(1 - host_stretch * (1 - pressure), 0.0) : pressure);
    }
    return worst;
}

} // namespace plimsoll
