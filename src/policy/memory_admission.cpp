#include "plimsoll/policy/memory_admission.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace plimsoll {

namespace {

// A cgroup is cut to those who live in it; a host has other tenants too, and many a one is meant to be nearly full. Its last third
// counts for all of it: 95 % of a host are what 85 % of a cgroup are, and the kernel kills at 100 % of both.
constexpr double host_stretch = 3;

// As long as a request that was given up may still be the one that a worker rises for.
constexpr Duration gone_on_for = std::chrono::seconds{30};

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

namespace {

Bytes kept_already(std::span<const Ran> ran) {
    Bytes sum;
    for (const Ran& each : ran) sum = sum + each.kept;
    return sum;
}

} // namespace

std::vector<CostKey> MemoryAdmission::rose(Instant now, Place& place, const PeakReading& reading) {
    const std::vector<Ran> ran = place.running.ran();
    place.running.next_reading();
    std::vector<CostKey> uneven;
    if (!place.resting.known()) {
        place.resting.read(now, reading);
        return uneven;
    }
    costs_.passes(now);
    PeakReading seen = reading;
    seen.quiet = reading.quiet || ran.empty();
    if (seen.quiet) place.to_read.reset();
    const Bytes rise = place.resting.rise(seen);
    std::optional<LearnedRise> learned;
    if (ran.empty()) {
        const IdleRise::Seen alone = place.idle_rise.read(now, place.resting.rest(), reading.highest);
        if (!place.unseen || now - *place.unseen > gone_on_for) costs_.rose_by_itself(now, alone, light_);
    } else {
        place.idle_rise.over();
        contradict(place, ran, rise);
        const Bytes stayed = place.resting.stayed(seen);
        learned = costs_.rose(ran, rise, light_, stayed);
        if (learned && learned->first) keeps(place, stayed - kept_already(ran));
    }
    for (const RestingMemory::Correction& each : place.resting.read(now, seen, learned ? &*learned : nullptr))
        costs_.correct(each);
    for (const Ran& each : ran)
        if (costs_.uneven(each.label, light_)) uneven.push_back(each.label);
    return uneven;
}

void MemoryAdmission::contradict(const Place& place, std::span<const Ran> ran, Bytes rise) {
    for (const Ran& each : ran) {
        const Bytes expected = costs_.expected(each.label);
        if (each.ended && !each.first && rise.count <= expected.count / 2 && !ever_fits(place, expected))
            costs_.contradict(each.label);
    }
}

void MemoryAdmission::shows(Instant now, Place& place, Bytes holds) {
    const Bytes rise = holds - place.resting.rest();
    if (!place.resting.known() || rise <= light_) return;
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

void MemoryAdmission::left(const Place& place) {
    --places_;
    for (std::size_t label = 0; label < place.served.size(); ++label)
        if (place.served[label] && label < in_flight_.size()) --in_flight_[label].served_in;
}

void MemoryAdmission::promise(Place& place, Bytes need) {
    place.own.promise(need);
    for (const DomainKey key : place.domains)
        if (key != 0 && key < domains_.size()) domains_[key].promise(need);
}

void MemoryAdmission::keeps(Place& place, Bytes amount) {
    if (amount.count <= 0) return;
    place.own.keeps(amount);
    for (const DomainKey key : place.domains)
        if (key != 0 && key < domains_.size()) domains_[key].keeps(amount);
}

bool MemoryAdmission::strangers_run(Instant now, const Place& place) const {
    return light_.count > 0 &&
           place.running.any([&](CostKey label, bool runs) { return runs && costs_.cold(now, label); });
}

bool MemoryAdmission::quiet(Instant now, const Place& place) const {
    return !place.running.any([&](CostKey label, bool runs) { return runs && (label == 0 || weighs(now, label)); });
}

bool MemoryAdmission::weighs(Instant now, CostKey label) const {
    if (light_.count == 0 || label == 0) return false;
    if (costs_.cold(now, label) || costs_.expected(label) > light_) return true;
    const bool served_by_all = label < in_flight_.size() && in_flight_[label].served_in >= places_;
    return !served_by_all && costs_.at_first(label) > light_;
}

Bytes MemoryAdmission::need(const Place& place, CostKey label) const {
    const bool served = label < place.served.size() && place.served[label];
    return served ? costs_.expected(label) : costs_.at_first(label);
}

Duration MemoryAdmission::next_try(CostKey label) const {
    const unsigned saying_so = costs_.saying_so(label); // none: it has shown it, or another beside it
    return saying_so == 0 ? cold_wait : std::min<Duration>(saying_so * first_try, try_again);
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

MemoryAdmission::Verdict MemoryAdmission::ask(Instant now, const Place& place, CostKey label) const {
    if (!weighs(now, label)) return Verdict::fits;
    const Bytes needed = need(place, label);
    if (needed > light_ && !fits(place, needed)) {
        if (ever_fits(place, needed)) return Verdict::full;
        if (now - costs_.last_began(label) < next_try(label)) return Verdict::hopeless;
        if (!alone(place, needed)) return Verdict::full;
    }
    if (awaits_reading(now, place)) return Verdict::cold;
    if (costs_.cold(now, label) && enough_strangers(now, label)) return Verdict::cold;
    return Verdict::fits;
}

bool MemoryAdmission::enough_strangers(Instant now, CostKey label) const {
    const unsigned in_flight = label < in_flight_.size() ? in_flight_[label].all : 0;
    if (in_flight == 0) return false;
    const auto waves = (now - costs_.first_began(label)) / cold_wait;
    return waves < std::numeric_limits<unsigned>::digits && in_flight >> waves != 0;
}

bool MemoryAdmission::may_leave_something(CostKey label) const {
    if (light_.count == 0 || label == 0) return false;
    const Bytes expected = costs_.expected(label), at_first = costs_.at_first(label);
    return at_first > light_ && (!costs_.well_known(label) || at_first > expected + light_);
}

bool MemoryAdmission::awaits_reading(Instant now, const Place& place) {
    return place.to_read && now - *place.to_read < cold_wait;
}

bool MemoryAdmission::ever_fits(const Place& place, CostKey label) const {
    return ever_fits(place, need(place, label));
}

void MemoryAdmission::begin(Instant now, Place& place, CostKey label) {
    const Bytes needed = need(place, label);
    costs_.began(now, label);
    if (in_flight_.size() <= label) in_flight_.resize(label + std::size_t{1});
    if (place.served.size() <= label) {
        place.served.resize(label + std::size_t{1});
        place.done.resize(label + std::size_t{1});
    }
    const bool first = !place.served[label];
    if (first) {
        place.served[label] = true;
        ++in_flight_[label].served_in;
        place.running.begin_first(label, needed, needed - costs_.expected(label));
    } else {
        place.running.begin(label, needed);
    }
    promise(place, needed);
    ++in_flight_[label].all;
    if (needed <= light_) return;
    ++in_flight_[label].weighty;
    ++weighty_;
    moved_ = true;
}

// Where nobody else of the label has run or runs, the next one is the first there.
void MemoryAdmission::refused(Place& place, CostKey label) {
    costs_.never_began(label);
    if (label >= place.served.size() || !place.served[label] || place.done[label]) return;
    if (place.running.any([&](CostKey each, bool runs) { return each == label && runs; })) return;
    place.served[label] = false;
    --in_flight_[label].served_in;
}

void MemoryAdmission::end(Instant now, Place& place, CostKey label, End how) {
    using Work = RunningLabels::Work;
    const auto [promised, kept, first] = place.running.end(label, how == End::done      ? Work::whole
                                                                  : how == End::refused ? Work::none
                                                                                        : Work::part);
    if (how == End::refused)
        refused(place, label);
    else if (label < place.done.size())
        place.done[label] = true;
    if (how == End::unseen && (weighs(now, label) || !costs_.known(label))) place.unseen = now;
    if (first && how != End::refused && may_leave_something(label)) place.to_read = now;
    keeps(place, kept); // or another would be let in before a reading shows that it is there for good
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
    return now - last_reading >= usual || (awaits_reading(now, place) && quiet(now, place)) ||
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

Bytes MemoryAdmission::shared_limit(const Place& place, bool host) const {
    const MemoryAccount* fullest = nullptr;
    for (std::size_t i = 0; i < place.domains.size(); ++i) {
        const MemoryAccount* account = domain(place.domains[i]);
        if (!account || !account->known() || (i == of_host) != host) continue;
        if (!fullest || account->pressure() > fullest->pressure()) fullest = account;
    }
    return fullest ? fullest->limit() : Bytes{};
}

} // namespace plimsoll
