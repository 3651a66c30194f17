#include "plimsoll/policy/gate.hpp"

#include <algorithm>
#include <utility>

#include "plimsoll/policy/adaptive_limit.hpp"
#include "plimsoll/policy/picker.hpp"

namespace plimsoll {

namespace {

constexpr double never_reached = 1e9; // by any pressure

MemoryAdmission::End memory_end_of(const Gate::Departure& departure) {
    using End = MemoryAdmission::End;
    switch (departure.outcome) {
    case Outcome::success: return End::done;
    case Outcome::refused_upstream: return End::refused;
    case Outcome::failure: return End::cut;
    case Outcome::timeout:
    case Outcome::abandoned: break;
    }
    using Work = Gate::Departure::Work;
    return departure.work == Work::whole ? End::done : departure.work == Work::goes_on ? End::unseen : End::cut;
}

} // namespace

Gate::Gate(Settings settings) : settings_(settings) {}

// Health takes it up with its next word.
void Gate::configure(const Settings& settings) {
    forget_breakers_without_judge(settings);
    if (settings.memory_mode != Mode::shadow) shadow_line_ = {};
    if (settings.memory_mode == Mode::off) load_line_ = stall_line_ = {}; // nobody looks at them any more
    settings_ = settings;
    for (const auto& member : roster_.all()) roster_.set_takes(*member, takes(*member));
}

void Gate::add(WorkerKey worker, unsigned slots, Instant, std::uint64_t place) {
    if (roster_.find(worker)) return;
    Member& added = roster_.add(worker);
    memory_.came();
    added.slots = slots_for(added, slots);
    added.place = place;
}

void Gate::set_slots(WorkerKey worker, unsigned slots, Instant now, Events& events) {
    Member* found = roster_.find(worker);
    if (!found) return;
    roster_.set_slots(*found, slots_for(*found, slots), now);
    grant(*found, now, events);
}

void Gate::accept(WorkerKey worker, bool accepting, Instant now, Events& events) {
    Member* found = roster_.find(worker);
    if (!found || found->removed) return;
    found->resting = false;
    usual_workers_.look(now, roster_.accepting());
    // One that leaves its place to a successor is no worker less than usual.
    if (!accepting && found->accepting && has_successor(*found) && usual_workers_.usual() == roster_.accepting())
        usual_workers_.has_left();
    set_willing(*found, accepting);
    judge_health(now, events);
    wake_sidelined(now, events);
    if (may_accept(*found)) begin_warming(now, *found);
    roster_.set_accepting(*found, may_accept(*found), now);
    usual_workers_.look(now, roster_.accepting());
    warm_up(now, events);
    grant(*found, now, events);
    keep_floor(now, events);
}

bool Gate::has_successor(const Member& member) const {
    return std::ranges::any_of(roster_.all(), [&](const auto& each) {
        return each.get() != &member && each->accepting && each->place == member.place && member.place != 0;
    });
}

void Gate::remove(WorkerKey worker) {
    Member* found = roster_.find(worker);
    if (!found) return;
    set_willing(*found, false);
    roster_.set_accepting(*found, false, {});
    found->removed = true;
    sidelined_.remove(*found);
    if (found->empty()) erase(*found);
}

void Gate::erase(Member& member) {
    memory_.left(member.memory);
    roster_.erase(member.key);
}

void Gate::set_homes(std::span<const WorkerKey> homes) {
    for (const auto& member : roster_.all())
        member->side = std::ranges::find(homes, member->key) != homes.end() ? Side::home : Side::away;
}

unsigned Gate::in_flight(WorkerKey worker) const {
    const Member* found = roster_.find(worker);
    return found ? found->in_flight + found->streams : 0;
}

bool Gate::avoidable(WorkerKey worker, Priority priority) const {
    const unsigned least = roster_.least_takes(priority);
    return std::ranges::any_of(roster_.all(), [&](const auto& each) {
        return each->accepting && each->key != worker && each->takes >= least;
    });
}

Member* Gate::choose(Instant now, const Facts& facts) {
    PickWish wish{
        std::nullopt,         facts.draw, settings_.memory_mode == Mode::off ? never_reached : settings_.load_line.line,
        settings_.slow_start, facts.side, roster_.least_takes(facts.priority)};
    if (facts.avoid && avoidable(*facts.avoid, facts.priority)) wish.avoid = facts.avoid;
    if (facts.affinity)
        if (Member* home = home_of(roster_, *facts.affinity, wish)) return home;
    return pick(roster_.free(), wish, now);
}

Gate::Probe Gate::admit(Member& member, Priority priority, CostKey label, RouteKey probed, Instant now) {
    memory_.begin(now, member.memory, label);
    roster_.took(member);
    if (member.adaptive) member.adaptive->began(now, member.in_flight);
    ++member.admitted;
    ++admitted_;
    if (member.ailing && settings_.health_mode == Mode::shadow && !panic_) ++shadow_.to_ailing;
    if (beyond_learned(member)) ++shadow_.beyond_limit;
    admissions_[index(priority)].add(now, rate_memory());
    const bool probes_it = member.breaker.admitted(now, settings_.breaker);
    if (probes_it) keep_aside(member, now); // until it has ended, or should have
    roster_.judge(member, now);
    return {probes_it, probed != 0};
}

// What overload is judged by. Who is refused whatever slots there are, or would not wait for one, asks for none: else anybody
// could make a pool look overloaded with requests that cost it nothing.
void Gate::asked_for_slot(Instant now, Priority priority) {
    offers_[index(priority)].add(now, rate_memory());
    overload_.arrived();
}

void Gate::refused(Priority priority, Reason reason) {
    ++refused_[index(reason)];
    ++refused_by_priority_[index(priority)];
}

Gate::Arrival Gate::arrive(Instant now, const Facts& asked, Events& events) {
    Facts facts = asked;
    Arrival arrival;
    RouteKey probed = 0; // the route, where this request is its probe
    const auto refuse = [&](Reason reason, Duration retry_after) {
        refused(facts.priority, reason);
        return_probe(probed);
        arrival.reason = reason;
        arrival.retry_after = retry_after;
        return arrival;
    };
    if (facts.deadline <= now) return refuse(Reason::deadline, retry_hint(now, facts.draw));
    wake_sidelined(now, events);
    warm_up(now, events);
    pass_in_shadow(now);
    const bool shed = memory_sheds(now, facts);
    if (shed && settings_.memory_mode == Mode::shadow) ++shadow_refused_[index(Reason::memory)];
    if (shed && settings_.memory_mode == Mode::enforce) {
        offers_[index(facts.priority)].add(now, rate_memory());
        return refuse(Reason::memory, retry_hint(now, facts.draw));
    }
    if (const auto pause = route_refuses(now, facts.route, probed)) {
        // The first who comes back is the probe: not all of them.
        const Duration spread = from_seconds(facts.draw * std::max(0.5 * to_seconds(*pause), 2.0));
        return refuse(Reason::breaker, *pause + spread);
    }
    if (weighs(now, facts)) return arrive_weighty(now, facts, probed, events);
    if (Member* member = choose(now, facts)) {
        asked_for_slot(now, facts.priority);
        if (!shed) weigh_in_shadow(now, facts);
        arrival.probe = admit(*member, facts.priority, facts.label, probed, now);
        arrival.kind = Arrival::Kind::admitted;
        arrival.worker = member->key;
        return arrival;
    }
    drop_stale(now, events);
    const bool in_vain = service_.known() && facts.deadline < now + expected_wait(now, facts.priority);
    if (!in_vain) asked_for_slot(now, facts.priority);
    look_at_queue(now);
    if (hopeless(now, facts)) return refuse(Reason::concurrency, retry_hint(now, facts.draw));
    if (in_vain) return refuse(Reason::deadline, retry_hint(now, facts.draw));
    if (queue_.size() + memory_line_.size() >= settings_.queue_size && !give_up_a_lower(facts.priority, now, events))
        return refuse(Reason::queue_full, retry_hint(now, facts.draw));
    if (!shed) weigh_in_shadow(now, facts);
    arrival.kind = Arrival::Kind::queued;
    arrival.ticket = queue_.add({0, facts.priority, now, facts.deadline, facts.avoid, probed, facts.label,
                                 facts.affinity ? Side::any : facts.side});
    return arrival;
}

bool Gate::turns_away(Instant now, const Facts& facts) const {
    if (facts.deadline <= now) return true;
    if (settings_.memory_mode == Mode::enforce && facts.draw < shed_share(facts)) return true;
    if (settings_.route_mode == Mode::enforce && facts.route < routes_.size() && !routes_[facts.route].admits(now))
        return true;
    if (!roster_.free().empty()) return false;
    if (full_for(facts.priority)) return true;
    if (settings_.overload_mode == Mode::enforce && beyond_patience(now, facts.priority)) return true;
    if (settings_.memory_mode == Mode::enforce && memory_.weighs(now, facts.label)) return false; // a line of its own
    return service_.known() && facts.deadline < now + expected_wait(now, facts.priority);
}

void Gate::grant(Member& member, Instant now, Events& events) {
    if (queue_.size() + memory_line_.size() == 0) return;
    const auto may = [&](const Queue::Waiting& each) {
        return each.deadline > now && !(each.avoid == member.key && avoidable(member.key, each.priority));
    };
    for (const auto priority : {Priority::critical, Priority::normal, Priority::sheddable}) {
        if (member.takes < roster_.least_takes(priority)) return;
        const Instant fresh = fresh_since(now, priority);
        while (member.free_at != Member::npos) {
            const Queue::Waiting* next = queue_.next(priority, fresh, may);
            const Queue::Waiting* weighty = next_weighty(now, priority, member);
            const bool from_memory_line = weighty && (!next || weighty->arrived <= next->arrived);
            if (from_memory_line) next = weighty;
            if (!next) break;
            // An experiment may let somebody pass who has hardly waited; that costs him one service time at most.
            const bool unwanted = !from_memory_line && next->side != Side::any && next->side != member.side;
            if (unwanted && now - next->arrived < service_.mean()) next = &queue_.wanted_on(member.side, *next, may);
            const Queue::Waiting taken = *next;
            (from_memory_line ? memory_line_ : queue_).remove(taken.ticket);
            if (from_memory_line) asked_for_slot(now, priority);
            const Probe probe = admit(member, priority, taken.label, taken.probed, now);
            events.push_back({taken.ticket, member.key, probe, Reason::none, {}});
        }
    }
}

void Gate::depart(Instant now, WorkerKey worker, const Departure& departure, Events& events) {
    Member* member = roster_.find(worker);
    if (!member || member->in_flight == 0) return;
    roster_.gave_back(*member);
    memory_.end(now, member->memory, departure.label, memory_end_of(departure));
    pass_in_shadow(now);
    ++member->finished[static_cast<std::size_t>(departure.outcome)];
    overload_.departed();
    // Who was refused or left tells nothing of how long a request takes.
    const bool served = departure.outcome != Outcome::refused_upstream && departure.outcome != Outcome::abandoned;
    if (served && departure.took > Duration::zero()) {
        service_.record(departure.took);
        if (memory_.costs().expected(departure.label) > memory_.light()) weighty_service_.record(departure.took);
    }
    if (member->adaptive) learn_slots(now, *member, departure);
    const auto result = result_of(departure);
    judge_route(now, result, departure);
    if (member->removed) {
        if (member->empty()) erase(*member);
        return;
    }
    judge_worker(now, *member, result, departure);
    if (departure.outcome == Outcome::refused_upstream) rest(*member, now, settings_.rest);
    keep_aside(*member, now);
    roster_.judge(*member, now);
    drop_stale(now, events);
    grant(*member, now, events);
    serve_memory_line(now, events); // what it held may be enough for somebody at another worker
    look_at_queue(now);
}

bool Gate::leave(Instant now, Ticket ticket) {
    auto left = queue_.remove(ticket);
    if (left) took_back(now, *left);
    if (!left) left = memory_line_.remove(ticket);
    if (left) return_probe(left->probed);
    return left.has_value();
}

// He left the queue unserved, by his own will. Having waited for as long as anybody should, he says that the pool does too little;
// sooner, nothing.
void Gate::took_back(Instant now, const Queue::Waiting& waiting) {
    if (now - waiting.arrived < target()) overload_.took_back();
}

void Gate::expire(Instant now, Events& events) {
    pass_in_shadow(now);
    // What nobody asks about any more ends all the same.
    look_at_lines(now);
    if (overload_.on()) look_at_queue(now);
    wake_sidelined(now, events);
    warm_up(now, events);
    if (queue_.size() + memory_line_.size() == 0) return;
    const auto drop_old = [&](Queue& queue, Reason too_old) {
        if (roster_.accepting() == 0) too_old = Reason::no_workers;
        queue.remove_late(now, now - settings_.queue_timeout, [&](const Queue::Waiting& each, bool late) {
            if (late && &queue == &queue_) took_back(now, each);
            tell_dropped(each, late ? Reason::deadline : too_old, now, events);
        });
    };
    drop_old(queue_, Reason::queue_timeout);
    // While no slot is free it is not memory that they wait for.
    drop_old(memory_line_, roster_.free().empty() ? Reason::queue_timeout : Reason::memory);
    drop_stale(now, events);
    wake_sidelined(now, events);
    raise_awaited(now, events);
    look_at_queue(now);
    // A waiter that avoids a worker takes it after all once no other one is left.
    for (std::size_t i = roster_.free().size(); i-- > 0 && queue_.size() > 0;)
        if (i < roster_.free().size()) grant(*roster_.free()[i], now, events);
    serve_memory_line(now, events);
}

Gate::Stats Gate::stats() const {
    Stats stats = summary();
    stats.workers.reserve(roster_.all().size());
    for (const auto& member : roster_.all()) {
        WorkerStats& out = stats.workers.emplace_back();
        out.worker = member->key;
        out.slots = member->slots;
        out.in_flight = member->in_flight;
        out.accepting = member->accepting;
        out.admitted = member->admitted;
        std::ranges::copy(member->finished, out.finished);
        out.breaker = {member->breaker.state(), member->breaker.trips()};
        out.ailing = member->ailing;
    }
    return stats;
}

Gate::Stats Gate::summary() const {
    Stats stats;
    for (std::size_t i = 0; i < priorities; ++i) stats.queued[i] = waiting(static_cast<Priority>(i));
    stats.memory_waiting = memory_line_.size();
    stats.memory_light = memory_.light();
    stats.admitted = admitted_;
    std::ranges::copy(refused_, stats.refused);
    std::ranges::copy(shadow_refused_, stats.shadow_refused);
    stats.shadow = shadow_;
    std::ranges::copy(refused_by_priority_, stats.refused_by_priority);
    stats.overloaded = overload_.on();
    stats.memory_shedding = load_line_.shedding();
    stats.shedding_futile = load_line_.futile();
    stats.health_panic = panic_;
    stats.memory_pressure = roster_.lowest_pressure();
    stats.stall = stall_;
    stats.stall_shedding = stall_line_.shedding();
    stats.queue_target = target();
    stats.service_time = service_.known() ? service_.mean() : Duration{};
    if (const Member* each = roomiest()) stats.memory_cause = each->pressure_of;
    for (const Breaker& route : routes_) stats.routes.push_back({route.state(), route.trips()});
    return stats;
}

Gate::Futile Gate::futile_shedding() const {
    if (!load_line_.futile()) return {};
    const Member* near = roomiest();
    if (!near) return {true, PressureOf::unknown, {}};
    return {true, near->pressure_of, memory_.shared_limit(near->memory, near->pressure_of == PressureOf::host)};
}

const Member* Gate::roomiest() const {
    const Member* roomiest = nullptr;
    for (const auto& member : roster_.all())
        if (member->accepting && (!roomiest || member->pressure < roomiest->pressure)) roomiest = member.get();
    return roomiest && roomiest->pressure >= 0 ? roomiest : nullptr;
}

} // namespace plimsoll
