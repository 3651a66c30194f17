// The gate's slow start: how many requests a worker gets at once that has just begun to serve.
//
//   at most max(1, slots * age / slow_start)        from when it accepts until it is `slow_start` old
//
// Its caches, its pools of connections and its imports are cold, and those who wait would all be given to it in one moment. Only
// beside workers that are warm: where all are new nobody would do it better, and as long as no warm one can be asked, since the
// last of them has left its place to a successor or rests, the new ones get all that comes. Once in its life: who was out of
// service for a while has his caches still.
#include <algorithm>

#include "plimsoll/policy/gate.hpp"

namespace plimsoll {

void Gate::begin_warming(Instant now, Member& member) {
    const bool first = member.accepting_since == Instant{};
    if (!first || settings_.slow_start <= Duration::zero()) return;
    member.warming = std::ranges::any_of(roster_.all(), [&](const auto& each) {
        return each->warm() && now - each->accepting_since >= settings_.slow_start;
    });
    if (!member.warming) return;
    member.ramp = 1;
    warming_.push_back(member.key);
}

void Gate::warm_up(Instant now, Events& events) {
    if (warming_.empty()) return;
    const bool alone = std::ranges::none_of(roster_.all(), [](const auto& each) { return each->warm(); });
    for (std::size_t i = warming_.size(); i-- > 0;) {
        Member* member = roster_.find(warming_[i]);
        const Duration age = member ? now - member->accepting_since : Duration{};
        if (!member || age >= settings_.slow_start) {
            warming_.erase(warming_.begin() + static_cast<std::ptrdiff_t>(i));
            if (!member) continue;
            member->warming = false;
        }
        const double share = to_seconds(age) / to_seconds(settings_.slow_start);
        const bool all = alone || !member->warming;
        member->ramp = all ? Member::no_ramp : std::max(1U, static_cast<unsigned>(share * member->slots));
        roster_.judge(*member, now);
        grant(*member, now, events);
    }
}

} // namespace plimsoll
