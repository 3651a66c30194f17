// The gate's health checks: a slot for each, and who is out of service for what they said.
#include <algorithm>
#include <cmath>

#include "plimsoll/policy/gate.hpp"

namespace plimsoll {

bool Gate::begin_check(WorkerKey worker, Instant now) {
    Member* member = roster_.find(worker);
    if (!member || !member->willing || member->checked || member->in_flight >= member->slots) return false;
    member->checked = true;
    roster_.took(*member);
    roster_.judge(*member, now);
    return true;
}

void Gate::end_check(WorkerKey worker, Instant now, Events& events) {
    Member* member = roster_.find(worker);
    if (!member || !member->checked) return;
    member->checked = false;
    roster_.gave_back(*member);
    if (member->removed) {
        if (member->empty()) erase(*member);
        return;
    }
    roster_.judge(*member, now);
    grant(*member, now, events);
}

std::uint64_t Gate::successes(WorkerKey worker) const {
    const Member* found = roster_.find(worker);
    return found ? found->finished[static_cast<std::size_t>(Outcome::success)] : 0;
}

void Gate::set_ailing(WorkerKey worker, bool ailing, Instant now, Events& events) {
    Member* member = roster_.find(worker);
    if (!member || member->removed) return;
    if (member->ailing != ailing) {
        member->ailing = ailing;
        if (member->willing) ailing ? ++ailing_ : --ailing_;
    }
    judge_health(now, events);
    roster_.set_accepting(*member, may_accept(*member), now);
    wake_sidelined(now, events);
    warm_up(now, events);
    grant(*member, now, events);
    keep_floor(now, events);
}

void Gate::set_willing(Member& member, bool willing) {
    if (member.willing == willing) return;
    member.willing = willing;
    const std::size_t ailing = member.ailing ? 1 : 0;
    willing_ = willing ? willing_ + 1 : willing_ - 1;
    ailing_ = willing ? ailing_ + ailing : ailing_ - ailing;
}

bool Gate::may_accept(const Member& member) const {
    return member.willing && !(member.ailing && !panic_ && settings_.health_mode == Mode::enforce);
}

std::size_t Gate::most_out() const {
    constexpr double rounding = 1e-9; // four fifths of five are four, not a little more
    const double stay = std::ceil(static_cast<double>(willing_) * settings_.breaker_floor - rounding);
    return willing_ - std::min(static_cast<std::size_t>(std::max(stay, 0.0)), willing_);
}

// Panic begins and ends with the count, and changes everybody's place: rare, so that walking through all is no matter.
void Gate::judge_health(Instant now, Events& events) {
    const bool panic = ailing_ > most_out();
    if (panic == panic_) return;
    panic_ = panic;
    for (const auto& member : roster_.all())
        if (member->ailing && !member->removed) roster_.set_accepting(*member, may_accept(*member), now);
    if (!panic) return;
    for (std::size_t i = roster_.free().size(); i-- > 0 && queue_.size() > 0;)
        if (i < roster_.free().size()) grant(*roster_.free()[i], now, events);
}

} // namespace plimsoll
