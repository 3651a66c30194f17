// The gate's workers whose slots nobody knows: each has a limit that is learned from its own requests.
#include <algorithm>
#include <cmath>

#include "plimsoll/policy/adaptive_limit.hpp"
#include "plimsoll/policy/gate.hpp"

namespace plimsoll {

namespace {

AdaptiveLimit::Settings bounds(const Gate::Settings& settings) {
    return {.min = settings.least_slots, .initial = settings.first_slots, .max = settings.most_slots};
}

AdaptiveLimit::Seen seen_of(const Gate::Departure& departure) {
    if (departure.outcome == Outcome::timeout) return AdaptiveLimit::Seen::timeout;
    const bool answered =
        departure.outcome == Outcome::success && departure.took > Duration::zero() && !departure.paced;
    return answered ? AdaptiveLimit::Seen::success : AdaptiveLimit::Seen::nothing; // a failure may be quick
}

} // namespace

// What the others have learned: a successor does the same work on the same machine.
unsigned Gate::usual_limit() const {
    double sum = 0;
    unsigned count = 0;
    for (const auto& member : roster_.all())
        if (member->adaptive && member->accepting) sum += member->adaptive->learned(), ++count;
    return count == 0 ? settings_.first_slots : std::max(1U, static_cast<unsigned>(std::lround(sum / count)));
}

unsigned Gate::slots_for(Member& member, unsigned told) {
    if (told > 0) {
        member.adaptive.reset();
        return told;
    }
    if (!member.adaptive) member.adaptive = std::make_unique<AdaptiveLimit>(usual_limit());
    return settings_.adaptive_mode == Mode::enforce ? member.adaptive->limit(bounds(settings_)) : settings_.most_slots;
}

void Gate::learn_slots(Instant now, Member& member, const Departure& departure) {
    const bool changed =
        member.adaptive->ended(now, bounds(settings_), member.in_flight, departure.took, seen_of(departure));
    if (changed && settings_.adaptive_mode == Mode::enforce)
        roster_.set_slots(member, member.adaptive->limit(bounds(settings_)), now);
}

// In shadow: the request that begins now is one more than it was found to do at once.
bool Gate::beyond_learned(const Member& member) const {
    return settings_.adaptive_mode == Mode::shadow && member.adaptive &&
           member.in_flight > member.adaptive->limit(bounds(settings_));
}

// Somebody waits: what is full with requests that do not end may be able to do more.
void Gate::raise_awaited(Instant now, Events& events) {
    if (settings_.adaptive_mode != Mode::enforce) return;
    for (const auto& member : roster_.all()) {
        if (queue_.size() == 0) return;
        if (!member->adaptive || !member->accepting || member->in_flight < member->slots) continue;
        if (!member->adaptive->awaited(now, bounds(settings_))) continue;
        roster_.set_slots(*member, member->adaptive->limit(bounds(settings_)), now);
        grant(*member, now, events);
    }
}

unsigned Gate::slots(WorkerKey worker) const {
    const Member* found = roster_.find(worker);
    return found ? found->slots : 0;
}

std::optional<Gate::Learned> Gate::learned(WorkerKey worker) const {
    const Member* found = roster_.find(worker);
    if (!found || !found->adaptive) return std::nullopt;
    return Learned{found->adaptive->learned(), found->adaptive->base()};
}

} // namespace plimsoll
