// The gate's load line: of the pool as a whole it sheds, and of a single worker it keeps away.
//
// A worker whose own pressure is so high that a pool of such workers would shed all of a priority takes none of it, as long as
// another one does that may be asked: who would have been let in there waits for that one. Where the line has found it futile,
// since the worker's memory does not fall by it, it takes everybody again.
#include <algorithm>

#include "plimsoll/policy/gate.hpp"

namespace plimsoll {

unsigned Gate::takes(const Member& member) const {
    if (settings_.memory_mode != Mode::enforce) return priorities;
    const auto sheds_all = [&](Priority priority) { return member.line.share(settings_.load_line, priority) >= 1; };
    if (sheds_all(Priority::normal)) return index(Priority::normal);
    return sheds_all(Priority::sheddable) ? index(Priority::sheddable) : priorities;
}

unsigned Gate::takes(WorkerKey worker) const {
    const Member* found = roster_.find(worker);
    return found ? found->takes : static_cast<unsigned>(priorities);
}

double Gate::shed_share(const Facts& facts) const {
    double share = load_line_.share(settings_.load_line, facts.priority);
    // Who needs much is shed like those of the next lower priority: it relieves more.
    if (facts.priority == Priority::normal && share < 1 && memory_.costs().expected(facts.label) > memory_.light())
        share = load_line_.share(settings_.load_line, Priority::sheddable);
    return std::max(share, stall_line_.share(stall_settings(), facts.priority));
}

// The last brake is the same mark, on time that is lost instead of bytes that are used: it says what bytes no longer can, that
// the kernel is busy finding some for anybody.
LoadLine::Settings Gate::stall_settings() const {
    return {settings_.stall_line, settings_.stall_line + (1 - settings_.stall_line) / 2, settings_.load_line.patience};
}

void Gate::look_at_lines(Instant now) {
    if (settings_.memory_mode == Mode::off) return;
    load_line_.observe(now, settings_.load_line, roster_.lowest_pressure());
    stall_line_.observe(now, stall_settings(), stall_);
}

// The load line, for the pool as a whole: while one worker has room, the picker sends everybody there.
// What is left of the draw once it has decided is as even as it was: else all who are shed would get the same Retry-After.
bool Gate::memory_sheds(Instant now, Facts& facts) {
    if (settings_.memory_mode == Mode::off) return false;
    look_at_lines(now);
    if (!load_line_.shedding() && !stall_line_.shedding()) return false;
    const double share = shed_share(facts);
    if (share <= 0) return false;
    const bool sheds = facts.draw < share;
    facts.draw = sheds ? facts.draw / share : (facts.draw - share) / (1 - share);
    return sheds;
}

} // namespace plimsoll
