// The gate's breakers: what a request's end tells about its worker and its route, and how long they stand aside for it.
//
// A worker trips only when it is worse than the others, and only while enough of the others pass: where all fail alike, the
// fault is the application's or its database's, and taking workers away would help nobody.
#include <algorithm>

#include "plimsoll/policy/gate.hpp"

namespace plimsoll {

namespace {

constexpr double clearly_worse = 2;    // than the share of failures of all others
constexpr std::size_t most_woken = 64; // at a decision, as long as anybody is free

} // namespace

Breaker::Result Gate::result_of(const Departure& departure) const {
    const Duration slow = settings_.breaker.slow;
    switch (departure.outcome) {
    case Outcome::success:
        return slow > Duration::zero() && departure.took > slow && !departure.paced ? Breaker::Result::slow
                                                                                    : Breaker::Result::good;
    case Outcome::failure:
    case Outcome::timeout: return Breaker::Result::failed;
    case Outcome::refused_upstream: // the worker rests already, and the route never got to see it
    case Outcome::abandoned: break;
    }
    return Breaker::Result::nothing;
}

bool Gate::worse_than_others(Instant now, const Member& member) const {
    const auto share_of = [&](const Window<3>& results) {
        const auto counts = results.sum(now, settings_.breaker.window);
        const unsigned bad = counts[static_cast<std::size_t>(Breaker::Result::slow)] +
                             counts[static_cast<std::size_t>(Breaker::Result::failed)];
        return Breaker::Share{bad, bad + counts[static_cast<std::size_t>(Breaker::Result::good)]};
    };
    const Breaker::Share own = share_of(member.results), all = share_of(everybody_);
    const Breaker::Share others{all.bad - std::min(own.bad, all.bad), all.all - std::min(own.all, all.all)};
    // With others who are still at work nothing can be compared; but then it is he who gets all that comes, and fails it.
    if (others.all == 0) return roster_.accepting() > 1;
    return own.value() >= clearly_worse * others.value();
}

std::size_t Gate::most_tripped() const { return most_out() - std::min(out_by_health(), most_out()); }

void Gate::judge_worker(Instant now, Member& member, Breaker::Result result, const Departure& departure) {
    if (settings_.breaker_mode == Mode::off) return;
    if (result != Breaker::Result::nothing) {
        everybody_.add(now, settings_.breaker.window, static_cast<std::size_t>(result));
        member.results.add(now, settings_.breaker.window, static_cast<std::size_t>(result));
    }
    const bool enforced = settings_.breaker_mode == Mode::enforce;
    Breaker& its = enforced ? member.breaker : member.shadow;
    // In shadow requests go on coming: after the rest the first one is the probe.
    const bool probe = enforced ? departure.probe.worker : its.admits(now) && its.admitted(now, settings_.breaker);
    const auto trips_before = its.trips();
    if (its.record(now, settings_.breaker, result, probe, departure.retry_after) && worse_than_others(now, member) &&
        floor_kept())
        its.trip(now, settings_.breaker, departure.retry_after);
    if (!enforced) shadow_.trips += its.trips() - trips_before;
}

// Of those that are tripped. Who is out for another reason, his checks or that he drains, counts there.
bool Gate::floor_kept() const {
    const auto out = [](const Member& each, const Breaker& breaker) {
        return each.accepting && breaker.state() != Breaker::State::passing;
    };
    const auto tripped =
        settings_.breaker_mode == Mode::enforce
            ? std::ranges::count_if(sidelined_, [&](const Member* each) { return out(*each, each->breaker); })
            : std::ranges::count_if(roster_.all(), [&](const auto& each) { return out(*each, each->shadow); });
    return static_cast<std::size_t>(tripped) < most_tripped();
}

// Workers went away: of those that are tripped the ones that have rested longest pass again, until the floor is kept.
void Gate::keep_floor(Instant now, Events& events) {
    while (true) {
        Member* rested = nullptr;
        std::size_t tripped = 0;
        for (Member* each : sidelined_) {
            if (each->breaker.state() == Breaker::State::passing || !each->accepting) continue;
            ++tripped;
            if (!rested || each->breaker.until() < rested->breaker.until()) rested = each;
        }
        if (tripped <= most_tripped()) return;
        rested->breaker.release();
        wake(*rested, now, events);
    }
}

void Gate::judge_route(Instant now, Breaker::Result result, const Departure& departure) {
    const RouteKey route = departure.route;
    if (route == 0 || settings_.route_mode == Mode::off) return;
    if (routes_.size() <= route) routes_.resize(route + std::size_t{1});
    Breaker& breaker = routes_[route];
    // Five in a row are nothing for a route that all workers serve at once: only the share counts.
    Breaker::Settings settings = settings_.breaker;
    settings.consecutive = 0;
    if (breaker.record(now, settings, result, departure.probe.route, departure.retry_after))
        breaker.trip(now, settings, departure.retry_after);
}

// Of an answer without an end in sight: that it began tells all that there is to tell.
void Gate::judge_probe(Instant now, Member& member, const Departure& so_far, Events& events) {
    const auto result = result_of(so_far);
    if (so_far.probe.route) judge_route(now, result, so_far);
    if (!so_far.probe.worker || member.removed) return;
    judge_worker(now, member, result, so_far);
    wake(member, now, events);
}

std::optional<Duration> Gate::route_refuses(Instant now, RouteKey route, RouteKey& probed) {
    if (route >= routes_.size() || settings_.route_mode == Mode::off) return std::nullopt;
    Breaker& breaker = routes_[route];
    if (breaker.admits(now)) {
        if (breaker.admitted(now, settings_.breaker)) probed = route;
        return std::nullopt;
    }
    if (settings_.route_mode == Mode::shadow) {
        ++shadow_refused_[index(Reason::breaker)];
        return std::nullopt;
    }
    const bool rests = breaker.state() == Breaker::State::tripped; // else the probe may end at any moment
    return std::max<Duration>(rests ? breaker.until() - now : Duration::zero(), std::chrono::seconds{1});
}

bool Gate::is_probed(RouteKey route) const {
    return route < routes_.size() && routes_[route].state() == Breaker::State::probing;
}

// A breaker that is not judged any more would stay as it is: a probe that ended unjudged would be the last request of its worker.
void Gate::forget_breakers_without_judge(const Settings& next) {
    if (settings_.breaker_mode == Mode::enforce && next.breaker_mode != Mode::enforce)
        for (const auto& member : roster_.all()) {
            member->breaker.release();
            sidelined_.look_soon(*member);
        }
    if (next.breaker_mode != Mode::shadow)
        for (const auto& member : roster_.all()) member->shadow.release();
    if (next.route_mode == Mode::off)
        for (Breaker& route : routes_) route.release();
}

void Gate::return_probe(RouteKey route) {
    if (is_probed(route)) routes_[route].record({}, settings_.breaker, Breaker::Result::nothing, true);
}

Gate::BreakerStats Gate::breaker(WorkerKey worker) const {
    const Member* found = roster_.find(worker);
    return found ? BreakerStats{found->breaker.state(), found->breaker.trips()} : BreakerStats{};
}

void Gate::rest(Member& member, Instant now, Duration how_long) {
    member.rested = member.resting ? std::max(member.rested, now + how_long) : now + how_long;
    member.resting = true;
    sidelined_.put(member, now);
    roster_.judge(member, now);
}

void Gate::broke_off(Instant now, WorkerKey worker) {
    if (Member* member = roster_.find(worker); member && !member->removed) rest(*member, now, settings_.pause);
}

void Gate::is_ending(Instant now, WorkerKey worker) {
    if (Member* member = roster_.find(worker); member && !member->removed) rest(*member, now, settings_.last_rest);
}

void Gate::keep_aside(Member& member, Instant now) {
    if (member.sidelined())
        sidelined_.put(member, now);
    else
        sidelined_.remove(member);
}

// When a host comes back, all its workers do at once: a decision wakes some of them, the next ones the rest.
void Gate::wake_sidelined(Instant now, Events& events) {
    for (std::size_t woken = 0; woken < most_woken || roster_.free().empty(); ++woken) {
        Member* member = sidelined_.due(now, roster_);
        if (!member) return;
        wake(*member, now, events);
    }
}

void Gate::wake(Member& member, Instant now, Events& events) {
    keep_aside(member, now);
    roster_.judge(member, now);
    grant(member, now, events);
}

} // namespace plimsoll
