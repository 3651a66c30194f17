// The gate's waiting and overload: how long a newcomer would wait, whether that is hopeless, and who is given up.
#include <algorithm>
#include <cmath>

#include "plimsoll/policy/gate.hpp"

namespace plimsoll {

namespace {

using namespace std::chrono_literals;

// Critical requests are few or they are not critical: they may wait a little longer than the target before they are refused.
constexpr double critical_patience = 4;
constexpr double mild_stretch = 2;
// Where higher priorities leave a priority little, one who waits keeps a slot from standing idle between two of them: in
// mild overload that counts for more than his wait, which is borne so many times longer on top.
constexpr double gap_filling = 3;
// Expected waits are estimates: who waits twice as long as promised was unlucky, four times, forgotten.
constexpr int stale_after = 2, given_up_after = 4;
constexpr double least_share = 0.02; // of the slots, for a priority whose betters take them all

// A wait that may be computed as very long, or infinite, and is bounded here.
Duration wait_of(double seconds) { return from_seconds(std::min(seconds, 1e6)); }

} // namespace

// The median service time; at least 5 ms, below which the proxy's own loops matter, and room for two who wait.
Duration Gate::target() const {
    if (settings_.queue_target > Duration::zero()) return settings_.queue_target;
    if (!service_.known()) return 5ms;
    const Duration two = 2 * service_.mean() / std::max(1U, roster_.slots());
    return std::max({Duration{5ms}, service_.median(), two});
}

// How long a newcomer may have to wait under overload. Where he and his betters ask for hardly more than can be done a longer
// queue costs little, and keeps the slots busy (and lower priorities out) through the gaps between arrivals.
Duration Gate::patience(Instant now, Priority priority) const {
    const double stretch = 1 + mild_stretch * mildness(now, priority);
    return wait_of(to_seconds(target()) * stretch * (priority == Priority::critical ? critical_patience : 1));
}

// 1: as much is asked by him and his betters as can be done; 0: twice as much.
double Gate::mildness(Instant now, Priority priority) const {
    return std::clamp(2 - offered_times(now, priority), 0.0, 1.0);
}

Duration Gate::rate_memory() const { return std::max<Duration>(500ms, service_.known() ? 20 * service_.mean() : 0ms); }

// Those ahead and oneself, at the speed at which the slots of those come free who take such requests, less what higher
// priorities take of them meanwhile.
Duration Gate::expected_wait(Instant now, Priority priority) const {
    const unsigned slots = roster_.slots_for(priority);
    if (!service_.known() || slots == 0) return Duration::zero();
    const double each = to_seconds(service_.mean()) / slots;
    double share = 1;
    for (std::size_t higher = 0; higher < index(priority); ++higher) {
        const unsigned theirs = std::max(1U, roster_.slots_for(static_cast<Priority>(higher)));
        share -= admissions_[higher].per_second(now, rate_memory()) * to_seconds(service_.mean()) / theirs;
    }
    share = std::min(share * (1 + gap_filling * mildness(now, priority)), 1.0);
    return wait_of(static_cast<double>(queue_.ahead_of(priority) + 1) * each / std::max(share, least_share));
}

void Gate::look_at_queue(Instant now) {
    usual_workers_.look(now, roster_.accepting());
    Overload::Sight sight;
    const Instant oldest = queue_.oldest();
    sight.waiting = oldest != never && roster_.slots() > 0 && service_.known();
    if (sight.waiting) {
        sight.oldest = now - oldest;
        double waiting = 0; // by the slots that they wait for
        for (const auto priority : {Priority::critical, Priority::normal, Priority::sheddable})
            waiting += static_cast<double>(queue_.size(priority)) / std::max(1U, roster_.slots_for(priority));
        sight.expected = wait_of(waiting * to_seconds(service_.mean()));
    }
    sight.target = target();
    sight.workers_missing = usual_workers_.missing(roster_.accepting());
    if (sight.workers_missing) missed_at_ = now;
    overload_.look(now, sight);
}

bool Gate::beyond_patience(Instant now, Priority priority) const {
    return overload_.on() && expected_wait(now, priority) > patience(now, priority);
}

bool Gate::hopeless(Instant now, const Facts& facts) {
    if (settings_.overload_mode == Mode::off || !beyond_patience(now, facts.priority)) return false;
    overload_.hopeless(now);
    if (settings_.overload_mode == Mode::enforce) return true;
    ++shadow_refused_[index(Reason::concurrency)];
    return false;
}

// Under overload those who have waited too long are served last (queue.hpp), and not for ever.
void Gate::drop_stale(Instant now, Events& events) {
    if (!overload_.on() || settings_.overload_mode != Mode::enforce) return;
    for (const auto priority : {Priority::critical, Priority::normal, Priority::sheddable}) {
        queue_.remove_oldest_while(priority, [&](const Queue::Waiting& each) {
            if (now - each.arrived <= given_up_after * patience(now, priority)) return false;
            overload_.hopeless(now);
            tell_dropped(each, Reason::concurrency, now, events);
            return true;
        });
        if (memory_line_.size(priority) > 0)
            drop_stale_strangers(now, priority, now - given_up_after * patience(now, priority), events);
    }
}

Instant Gate::fresh_since(Instant now, Priority priority) const {
    const bool acts = overload_.on() && settings_.overload_mode == Mode::enforce;
    return acts ? now - stale_after * patience(now, priority) : Instant{};
}

bool Gate::full_for(Priority priority) const {
    if (queue_.size() + memory_line_.size() < settings_.queue_size) return false;
    for (std::size_t lower = index(priority) + 1; lower < priorities; ++lower)
        if (waiting(static_cast<Priority>(lower)) > 0) return false; // one of them is given up for it
    return true;
}

bool Gate::give_up_a_lower(Priority priority, Instant now, Events& events) {
    for (std::size_t lowest = priorities; lowest-- > index(priority) + 1;) {
        for (Queue* line : {&queue_, &memory_line_}) {
            const Queue::Waiting* newest = line->newest(static_cast<Priority>(lowest));
            if (!newest) continue;
            tell_dropped(*newest, Reason::queue_full, now, events);
            line->remove(newest->ticket);
            return true;
        }
    }
    return false;
}

void Gate::tell_dropped(const Queue::Waiting& waiting, Reason reason, Instant now, Events& events) {
    refused(waiting.priority, reason);
    return_probe(waiting.probed);
    // Tickets are numbered in a row: multiplied by the golden ratio their fractions spread evenly, which is all a jitter needs.
    double whole;
    const double draw = std::modf(static_cast<double>(waiting.ticket) * 0.6180339887498949, &whole);
    events.push_back({waiting.ticket, std::nullopt, {}, reason, retry_hint(now, draw)});
}

// As many seconds as the offered load is times what is served, so that those who come back are about as many as can be
// served; spread by half to both sides, so that they don't come back together.
Duration Gate::retry_hint(Instant now, double draw) const {
    return std::chrono::ceil<std::chrono::seconds>(
        wait_of(std::min(offered_times(now, Priority::sheddable), 30.0) * (0.5 + draw)));
}

double Gate::offered_times(Instant now, Priority priority) const {
    double offered = 0, admitted = 0;
    for (std::size_t each = 0; each < priorities; ++each) {
        if (each <= index(priority)) offered += offers_[each].per_second(now, rate_memory());
        admitted += admissions_[each].per_second(now, rate_memory());
    }
    return std::max(offered / std::max(admitted, 1e-3), 1.0);
}

} // namespace plimsoll
