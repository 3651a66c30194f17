#include "plimsoll/policy/sidelined.hpp"

#include <algorithm>

namespace plimsoll {

void Sidelined::put(Member& member, Instant now) {
    if (member.sidelined_at == Member::npos) {
        member.sidelined_at = all_.size();
        all_.push_back(&member);
    }
    Instant change = never;
    if (member.resting)
        change = member.rested;
    else if (member.breaker.state() != Breaker::State::passing && member.breaker.until() > now)
        change = member.breaker.until();
    wake_at(change, member);
}

void Sidelined::look_soon(Member& member) {
    if (member.sidelined_at != Member::npos) wake_at(Instant{}, member);
}

void Sidelined::wake_at(Instant at, Member& member) {
    if (at >= member.wakes) return; // then it is looked at sooner, and put back
    member.wakes = at;
    wakes_.push_back({at, member.key});
    std::push_heap(wakes_.begin(), wakes_.end());
}

void Sidelined::remove(Member& member) {
    if (member.sidelined_at == Member::npos) return;
    all_[member.sidelined_at] = all_.back();
    all_[member.sidelined_at]->sidelined_at = member.sidelined_at;
    all_.pop_back();
    member.sidelined_at = Member::npos;
    member.wakes = never;
}

Member* Sidelined::due(Instant now, const Roster& roster) {
    while (!wakes_.empty() && wakes_.front().at <= now) {
        const Wake wake = wakes_.front();
        std::pop_heap(wakes_.begin(), wakes_.end());
        wakes_.pop_back();
        Member* member = roster.find(wake.worker);
        if (!member || member->sidelined_at == Member::npos || member->wakes != wake.at) continue;
        member->wakes = never;
        if (member->resting && now >= member->rested) member->resting = false;
        return member;
    }
    return nullptr;
}

} // namespace plimsoll
