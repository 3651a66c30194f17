// The gate's room: requests that need much memory, or of which nobody knows how much (memory_admission.hpp).
#include <algorithm>
#include <array>
#include <span>

#include "plimsoll/policy/gate.hpp"
#include "plimsoll/policy/picker.hpp"

namespace plimsoll {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t looked_at = 64; // of those who wait, for one that may begin
// Free workers that a newcomer is compared with, and that are offered to those who wait after each departure: a decision's
// cost is bounded, and with fewer workers none is passed over.
constexpr std::size_t most_compared = 64, most_offered = 16;
constexpr std::size_t few_asked = 4;
constexpr int patient_for = 8; // times what one who needs much takes

} // namespace

bool Gate::weighs(Instant now, const Facts& facts) {
    if (settings_.memory_mode == Mode::off) return false;
    memory_.costs().asked(now, facts.label);
    if (!memory_.weighs(now, facts.label)) return false;
    if (settings_.memory_mode == Mode::enforce) return true;
    // Of a stranger, whether it would wait to be learned; of the others the shadow line knows more.
    const bool stranger = memory_.costs().expected(facts.label) <= memory_.light();
    if (stranger && !choose_with_room(now, facts) && !roster_.free().empty()) ++shadow_.memory_waits;
    return false;
}

// Of who is not refused in earnest. A retry has been asked before.
void Gate::weigh_in_shadow(Instant now, const Facts& facts) {
    if (settings_.memory_mode != Mode::shadow || facts.avoid) return;
    const Bytes need = memory_.costs().expected(facts.label);
    if (need <= memory_.light() || !memory_.weighs(now, facts.label)) return;
    ShadowLine::Refusals refusals;
    const ShadowLine::Request request{facts.label, need, facts.priority, facts.deadline, facts.draw};
    if (shadow_line_.arrive(now, request, shadow_world(), refusals) == ShadowLine::Verdict::waits)
        ++shadow_.memory_waits;
    count_in_shadow(refusals);
}

void Gate::pass_in_shadow(Instant now) {
    if (shadow_line_.idle()) return;
    ShadowLine::Refusals refusals;
    shadow_line_.pass(now, shadow_world(), refusals);
    count_in_shadow(refusals);
}

ShadowLine::World Gate::shadow_world() const {
    const ServiceTime& usual = weighty_service_.known() ? weighty_service_ : service_;
    return {roster_,
            memory_,
            usual.known() ? usual.mean() : Duration{100ms},
            memory_patience(),
            settings_.queue_timeout,
            settings_.queue_size,
            missed_at_};
}

void Gate::count_in_shadow(const ShadowLine::Refusals& refusals) {
    for (const Reason reason : refusals) ++shadow_refused_[index(reason)];
}

// The best of those that are free and have room for it.
Member* Gate::choose_with_room(Instant now, const Facts& facts) {
    const auto& free = roster_.free();
    const auto has_room = [&](const Member& each) {
        return memory_.ask(now, each.memory, facts.label) == MemoryAdmission::Verdict::fits;
    };
    std::vector<Member*> roomy;
    const auto begin = static_cast<std::size_t>(facts.draw * static_cast<double>(free.size()));
    for (std::size_t i = 0; i < std::min(free.size(), most_compared); ++i)
        if (Member* each = free[(begin + i) % free.size()]; has_room(*each)) roomy.push_back(each);
    PickWish wish{std::nullopt,         facts.draw, settings_.load_line.line,
                  settings_.slow_start, Side::any,  roster_.least_takes(facts.priority)};
    const bool only_that = roomy.size() == 1 && roomy.front()->key == facts.avoid;
    if (facts.avoid && avoidable(*facts.avoid, facts.priority)) {
        if (only_that) return nullptr;
        wish.avoid = facts.avoid;
    }
    if (facts.affinity)
        if (Member* home = home_of(roster_, *facts.affinity, wish); home && has_room(*home)) return home;
    return roomy.empty() ? nullptr : pick(roomy, wish, now);
}

Gate::Arrival Gate::arrive_weighty(Instant now, const Facts& facts, RouteKey probed, Events& events) {
    // Nobody overtakes those who wait already, of his own priority or a higher one. Strangers that have shown no need yet are in
    // nobody's way but their own label's, nor is anybody in theirs: their turn comes when one of them has ended.
    const auto a_stranger = [&](CostKey label) { return memory_.costs().expected(label) <= memory_.light(); };
    bool first = true;
    for (std::size_t each = 0, left = looked_at; each <= index(facts.priority) && first && left > 0; ++each)
        memory_line_.look_through(static_cast<Priority>(each), [&](const Queue::Waiting& waiting) {
            if (a_stranger(waiting.label) || a_stranger(facts.label))
                first = waiting.label != facts.label;
            else
                first = waiting.label != facts.label && no_room_for(now, waiting);
            return first && --left > 0;
        });
    Member* member = first ? choose_with_room(now, facts) : nullptr;
    if (!member) return wait_for_memory(now, facts, probed, events);
    asked_for_slot(now, facts.priority);
    Arrival arrival;
    arrival.probe = admit(*member, facts.priority, facts.label, probed, now);
    arrival.kind = Arrival::Kind::admitted;
    arrival.worker = member->key;
    return arrival;
}

// Whether waiting is in vain for him, as far as the free workers tell: a few of them do, they live under the same limits.
bool Gate::no_room_for(Instant now, const Queue::Waiting& waiting) const {
    const auto& free = roster_.free();
    const auto few = std::min(free.size(), few_asked);
    for (std::size_t i = 0; i < few; ++i)
        if (memory_.ask(now, free[i]->memory, waiting.label) != MemoryAdmission::Verdict::hopeless) return false;
    return few > 0;
}

bool Gate::never_fits(CostKey label) const {
    return settings_.memory_mode != Mode::off && !roster_.all().empty() &&
           std::ranges::none_of(roster_.all(),
                                [&](const auto& each) { return memory_.ever_fits(each->memory, label); });
}

// A line that is served at all is served within a few times what one of them takes. Once its head has waited longer than
// that, the line stands, and another one would only make everybody's wait longer.
Duration Gate::memory_patience() const {
    const Duration usual = weighty_service_.known() ? patient_for * weighty_service_.mean() : Duration{};
    return std::min(std::max<Duration>(usual, 500ms), settings_.queue_timeout);
}

Gate::Arrival Gate::wait_for_memory(Instant now, const Facts& facts, RouteKey probed, Events& events) {
    Arrival arrival;
    const auto refuse = [&](Reason reason, Duration retry_after) {
        refused(facts.priority, reason);
        return_probe(probed);
        arrival.reason = reason;
        arrival.retry_after = retry_after;
        return arrival;
    };
    drop_stale(now, events);
    look_at_queue(now);
    // What is true of slots is true of those who need much as well.
    if (roster_.free().empty() && hopeless(now, facts)) {
        asked_for_slot(now, facts.priority);
        return refuse(Reason::concurrency, retry_hint(now, facts.draw));
    }
    Instant oldest = never;
    for (std::size_t each = 0, left = looked_at; each <= index(facts.priority) && left > 0; ++each)
        memory_line_.look_through(static_cast<Priority>(each), [&](const Queue::Waiting& waiting) {
            const bool before_us = waiting.label == facts.label || !no_room_for(now, waiting);
            // A stranger waits to be learned, and not for long.
            if (before_us && !memory_.costs().cold(now, waiting.label)) oldest = std::min(oldest, waiting.arrived);
            return !before_us && --left > 0;
        });
    // While no slot is free, or workers are missing, it is not memory that one waits for.
    if (!roster_.free().empty() && oldest != never && now - std::max(oldest, missed_at_) > memory_patience())
        return refuse(Reason::memory, std::max<Duration>(retry_hint(now, facts.draw), now - oldest));
    if (queue_.size() + memory_line_.size() >= settings_.queue_size && !give_up_a_lower(facts.priority, now, events))
        return refuse(Reason::queue_full, retry_hint(now, facts.draw));
    arrival.kind = Arrival::Kind::queued;
    arrival.ticket = memory_line_.add({0, facts.priority, now, facts.deadline, facts.avoid, probed, facts.label});
    return arrival;
}

// Under overload a stranger waits for a slot like anybody else, whatever line he stands in: who came before `since` is given
// up. Those who need much are not: it is room that they wait for.
void Gate::drop_stale_strangers(Instant now, Priority priority, Instant since, Events& events) {
    std::array<Ticket, looked_at> stale;
    std::size_t count = 0, left = looked_at;
    memory_line_.look_through(priority, [&](const Queue::Waiting& waiting) {
        if (waiting.arrived >= since) return false;
        if (memory_.costs().cold(now, waiting.label)) stale[count++] = waiting.ticket;
        return --left > 0;
    });
    for (const Ticket ticket : std::span(stale).first(count)) {
        overload_.hopeless(now);
        asked_for_slot(now, priority);
        tell_dropped(*memory_line_.remove(ticket), Reason::concurrency, now, events);
    }
}

// The oldest that may begin at this worker. Behind one that does not fit now only strangers begin: if others did, the one before
// them might wait for ever.
const Queue::Waiting* Gate::next_weighty(Instant now, Priority priority, const Member& member) {
    if (memory_line_.size() == 0) return nullptr;
    const bool avoidable_now = avoidable(member.key, priority);
    const Queue::Waiting* found = nullptr;
    std::size_t left = looked_at;
    bool full = false;
    for (std::size_t each = 0; each <= index(priority) && !found && left > 0; ++each)
        memory_line_.look_through(static_cast<Priority>(each), [&](const Queue::Waiting& waiting) {
            if (waiting.deadline <= now) return --left > 0; // he is told soon, and is in nobody's way
            memory_.costs().asked(now, waiting.label);
            const bool mine = waiting.priority == priority && !(avoidable_now && waiting.avoid == member.key) &&
                              !(full && memory_.needs_much(member.memory, waiting.label));
            switch (memory_.ask(now, member.memory, waiting.label)) {
            case MemoryAdmission::Verdict::fits:
                if (mine) found = &waiting;
                break;
            case MemoryAdmission::Verdict::full: full = true; break;
            case MemoryAdmission::Verdict::hopeless:
            case MemoryAdmission::Verdict::cold: break;
            }
            return !found && --left > 0;
        });
    return found;
}

void Gate::serve_memory_line(Instant now, Events& events) {
    const auto& free = roster_.free();
    if (free.size() <= most_offered) offered_ = free.size(); // from the end: who takes an empty place has had his turn
    for (std::size_t left = std::min(free.size(), most_offered); left > 0; --left) {
        if (memory_line_.size() == 0 || free.empty()) return;
        if (offered_ == 0 || offered_ > free.size()) offered_ = free.size();
        grant(*free[--offered_], now, events); // it may leave the list: the last one takes its place
    }
}

} // namespace plimsoll
