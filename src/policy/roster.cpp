#include "plimsoll/policy/roster.hpp"

#include <algorithm>
#include <utility>

#include "plimsoll/policy/adaptive_limit.hpp"
#include "plimsoll/policy/affinity.hpp"

namespace plimsoll {

Member::Member() = default;
Member::~Member() = default;

Member* Roster::find(WorkerKey key) const {
    const auto found = places_.find(key);
    return found == places_.end() ? nullptr : members_[found->second].get();
}

Member& Roster::add(WorkerKey key) {
    places_.emplace(key, members_.size());
    Member& member = *members_.emplace_back(std::make_unique<Member>());
    member.key = key;
    return member;
}

void Roster::erase(WorkerKey key) {
    const auto found = places_.find(key);
    if (found == places_.end()) return;
    Member& member = *members_[found->second];
    set_accepting(member, false, {});
    // The last one moves into its place: the order of workers means nothing.
    members_[found->second].swap(members_.back());
    places_[members_[found->second]->key] = found->second;
    places_.erase(key);
    members_.pop_back();
}

void Roster::took(Member& member) {
    ++member.in_flight;
    if (member.accepting) ++in_flight_;
}

void Roster::gave_back(Member& member) {
    --member.in_flight;
    if (member.accepting) --in_flight_;
}

void Roster::judge(Member& member, Instant now) {
    const bool free = member.accepting && !member.resting && member.in_flight < std::min(member.slots, member.ramp) &&
                      member.breaker.admits(now);
    count_as_taking(member);
    if (free == (member.free_at != Member::npos)) return;
    if (free) {
        member.free_at = free_.size();
        free_.push_back(&member);
        return;
    }
    Member& last = *free_.back();
    free_[member.free_at] = &last;
    last.free_at = member.free_at;
    member.free_at = Member::npos;
    free_.pop_back();
}

void Roster::count_as_taking(Member& member) {
    Member::Taking now;
    if (member.accepting && !member.sidelined()) now = {member.takes, std::min(member.slots, member.ramp)};
    const Member::Taking before = std::exchange(member.counted, now);
    if (now == before) return;
    for (unsigned each = 0; each < priorities; ++each) {
        takers_[each] += (each < now.takes) - (each < before.takes);
        slots_of_takers_[each] += (each < now.takes ? now.slots : 0) - (each < before.takes ? before.slots : 0);
    }
}

void Roster::set_takes(Member& member, unsigned takes) {
    member.takes = takes;
    count_as_taking(member);
}

unsigned Roster::least_takes(Priority priority) const {
    for (auto each = static_cast<unsigned>(index(priority)) + 1; each > 0; --each)
        if (takers_[each - 1] > 0) return each;
    return 0;
}

unsigned Roster::slots_for(Priority priority) const {
    const unsigned least = least_takes(priority);
    return least == 0 ? slots_ : slots_of_takers_[least - 1];
}

void Roster::set_accepting(Member& member, bool accepting, Instant now) {
    if (accepting != member.accepting) {
        accepting ? ++accepting_ : --accepting_;
        set_on_ring(member, accepting);
        at_pressure_[step_of(member.pressure)] += accepting ? 1U : -1U;
        slots_ = accepting ? slots_ + member.slots : slots_ - member.slots;
        in_flight_ = accepting ? in_flight_ + member.in_flight : in_flight_ - member.in_flight;
        member.accepting = accepting;
        if (accepting && member.accepting_since == Instant{}) member.accepting_since = now;
    }
    judge(member, now);
}

// A move of 100 KB among 10,000 workers, when one of them begins or ceases to accept.
void Roster::set_on_ring(Member& member, bool there) {
    const std::uint64_t at = affinity_spot(member.place);
    auto spot = std::ranges::lower_bound(ring_, at, {}, &Spot::at);
    if (there) {
        ring_.insert(spot, {at, member.place, &member});
        return;
    }
    while (spot->member != &member) ++spot; // a successor has the same place
    ring_.erase(spot);
}

std::array<std::span<const Roster::Spot>, 2> Roster::from(std::uint64_t spot) const {
    const std::span all(ring_);
    if (all.size() <= affinity_reach) return {all, {}};
    const auto first = static_cast<std::size_t>(std::ranges::lower_bound(ring_, spot, {}, &Spot::at) - ring_.begin());
    const std::size_t before_the_end = std::min(affinity_reach, all.size() - first);
    return {all.subspan(first, before_the_end), all.first(affinity_reach - before_the_end)};
}

std::size_t Roster::step_of(double pressure) {
    if (pressure < 0) return 0;
    return 1 + static_cast<std::size_t>(std::min(pressure, 1.5) * 100 + 1e-9);
}

void Roster::set_pressure(Member& member, double pressure) {
    if (member.accepting) {
        --at_pressure_[step_of(member.pressure)];
        ++at_pressure_[step_of(pressure)];
    }
    member.pressure = pressure;
}

double Roster::lowest_pressure() const {
    const auto lowest = std::ranges::find_if(at_pressure_, [](unsigned count) { return count > 0; });
    return lowest == at_pressure_.end() ? -1 : static_cast<double>(lowest - at_pressure_.begin() - 1) / 100;
}

void Roster::set_slots(Member& member, unsigned slots, Instant now) {
    if (member.accepting) slots_ += slots - member.slots;
    member.slots = slots;
    judge(member, now);
}

} // namespace plimsoll
