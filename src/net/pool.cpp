#include "net/pool.hpp"

#include <atomic>
#include <utility>

#include "plimsoll/policy/affinity.hpp"

namespace plimsoll::net {

namespace {

// One sequence for all pools: a key alone names a worker's generation, wherever it is used.
WorkerKey next_key() {
    static std::atomic<WorkerKey> last{0};
    return ++last;
}

Gate::Settings gate_settings(const config::Pool& pool) {
    Gate::Settings settings;
    settings.queue_size = pool.queue.size;
    settings.queue_timeout = pool.queue.timeout;
    settings.load_line.line = pool.memory.load_line;
    settings.stall_line = pool.memory.stall_line;
    settings.memory_mode = pool.memory.mode;
    settings.adaptive_mode = pool.adaptive.mode;
    settings.least_slots = pool.adaptive.min;
    settings.first_slots = pool.adaptive.initial;
    settings.most_slots = pool.adaptive.max;
    settings.most_streams = pool.adaptive.streams;
    settings.queue_target = pool.queue.target.value_or(Duration::zero());
    settings.overload_mode = pool.queue.mode;
    const config::CircuitBreaker& breaker = pool.breaker;
    settings.breaker.consecutive = breaker.consecutive;
    settings.breaker.share = breaker.share;
    settings.breaker.minimum = breaker.minimum;
    settings.breaker.window = breaker.window;
    settings.breaker.slow = breaker.slow.value_or(Duration::zero());
    settings.breaker.rest = breaker.rest;
    settings.breaker.longest_rest = breaker.longest_rest;
    settings.breaker_mode = breaker.mode;
    settings.route_mode = breaker.routes;
    settings.breaker_floor = breaker.floor;
    settings.health_mode = pool.health.mode;
    settings.slow_start = pool.health.slow_start;
    return settings;
}

} // namespace

// Whatever may give slots to those who wait.
template <class Decision> // decision(events)
void Pool::decide(Instant now, Decision decision) {
    Gate::Events events;
    Wakes wakes;
    {
        const std::lock_guard lock(mutex_);
        const PoolPromises::Turn turn(promises_, gate_, gate_.waits_for_memory());
        decision(events);
        take(events, now, wakes);
    }
    tell(wakes);
}

Pool::Pool(std::string name, const config::Pool& settings) : name_(std::move(name)), gate_(gate_settings(settings)) {
    configure(settings);
}

Pool::~Pool() = default;

void Pool::configure(const config::Pool& settings) {
    const std::lock_guard lock(mutex_);
    gate_.configure(gate_settings(settings));
    upstream_ = std::make_shared<const config::Upstream>(settings.upstream);
    const config::Retry& retry = settings.retry;
    retry_budget_.configure({retry.share, static_cast<double>(retry.most_saved), retry.minimum});
    retry_mode_ = retry.mode;
}

std::shared_ptr<const config::Upstream> Pool::upstream() const {
    const std::lock_guard lock(mutex_);
    return upstream_;
}

RouteKey Pool::route_key(std::string_view label) {
    const std::lock_guard lock(routes_mutex_);
    const auto found = routes_.find(label);
    if (found != routes_.end()) return found->second;
    if (routes_.size() >= most_routes) return 0;
    const auto key = static_cast<RouteKey>(routes_.size() + 1);
    routes_.emplace(label, key);
    return key;
}

std::map<RouteKey, std::string> Pool::route_labels() const {
    const std::lock_guard lock(routes_mutex_);
    std::map<RouteKey, std::string> labels;
    for (const auto& [label, key] : routes_) labels.emplace(key, label);
    return labels;
}

Permit Pool::hold(WorkerKey worker, RouteKey route, CostKey label, Gate::Probe probe, Instant now) {
    Place& place = *places_.at(worker);
    ++place.held;
    ++place.requests;
    return Permit(this, &place, route, label, probe, now);
}

void Pool::let_go(Place& place) {
    if (--place.held == 0 && place.removed) places_.erase(place.endpoint.key);
}

void Pool::take(const Gate::Events& events, Instant now, Wakes& wakes) {
    wakes.reserve(events.size()); // a permit that finds no room would give itself back, under the lock
    for (const Gate::Event& event : events) {
        const auto found = waiters_.extract(event.ticket);
        if (found.empty()) continue;
        const auto& [waiter, route, label] = found.mapped();
        wakes.push_back({waiter, event.granted ? hold(*event.granted, route, label, event.probe, now) : Permit{},
                         event.reason, event.retry_after});
    }
}

void Pool::tell(Wakes& wakes) {
    for (Woken& woken : wakes) woken.waiter->wake(std::move(woken.permit), woken.reason, woken.retry_after);
}

Pool::Arrival Pool::arrive(Instant now, const Gate::Facts& facts, Waiter& waiter, bool again) {
    Arrival arrival;
    Gate::Events events;
    Wakes wakes;
    {
        const std::lock_guard lock(mutex_);
        if (closed_) {
            arrival.reason = Reason::no_workers;
            return arrival;
        }
        if (!again) retry_budget_.request_began();
        const PoolPromises::Turn turn(promises_, gate_, gate_.waits_for_memory() || gate_.weighs_now(now, facts.label));
        const Gate::Arrival verdict = gate_.arrive(now, facts, events);
        switch (verdict.kind) {
        case Gate::Arrival::Kind::admitted:
            arrival.permit = hold(verdict.worker, facts.route, facts.label, verdict.probe, now);
            break;
        case Gate::Arrival::Kind::queued:
            arrival.ticket = verdict.ticket;
            waiters_.emplace(verdict.ticket, Waits{&waiter, facts.route, facts.label});
            break;
        case Gate::Arrival::Kind::refused:
            arrival.reason = verdict.reason;
            arrival.retry_after = verdict.retry_after;
            break;
        }
        take(events, now, wakes);
    }
    tell(wakes);
    return arrival;
}

void Pool::close(Instant now) {
    Wakes wakes;
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        wakes.reserve(waiters_.size());
        for (const auto& [ticket, waits] : waiters_) {
            gate_.leave(now, ticket);
            wakes.push_back({waits.waiter, Permit{}, Reason::no_workers, {}});
        }
        waiters_.clear();
    }
    tell(wakes);
}

RetryHold Pool::begin_retry() {
    const std::lock_guard lock(mutex_);
    if (retry_budget_.take()) return RetryHold(this);
    if (retry_mode_ == Mode::enforce) {
        ++retry_stats_.denied;
        return {};
    }
    if (retry_mode_ == Mode::shadow) ++retry_stats_.shadow;
    retry_budget_.exceed();
    return RetryHold(this);
}

RetryHold& RetryHold::operator=(RetryHold&& other) noexcept {
    if (this != &other) {
        give_back();
        pool_ = std::exchange(other.pool_, nullptr);
    }
    return *this;
}

void RetryHold::give_back() {
    if (pool_) std::exchange(pool_, nullptr)->end_retry();
}

void Pool::end_retry() {
    const std::lock_guard lock(mutex_);
    retry_budget_.give();
}

Pool::RetryStats Pool::retry_stats() const {
    const std::lock_guard lock(mutex_);
    return retry_stats_;
}

bool Pool::turns_away(Instant now, const Gate::Facts& facts) const {
    const std::lock_guard lock(mutex_);
    return gate_.turns_away(now, facts);
}

bool Pool::leave(Instant now, Ticket ticket) {
    const std::lock_guard lock(mutex_);
    gate_.leave(now, ticket);
    return waiters_.erase(ticket) != 0;
}

void Pool::depart(Instant now, Place& place, const Gate::Departure& departure) {
    Gate::Events events;
    Wakes wakes;
    {
        const std::lock_guard lock(mutex_);
        const PoolPromises::Turn turn(promises_, gate_, gate_.waits_for_memory());
        gate_.depart(now, place.endpoint.key, departure, events);
        take(events, now, wakes);
        let_go(place);
    }
    tell(wakes);
}

bool Pool::become_stream(Instant now, const Place& place, const Gate::Departure& departure) {
    bool became = false;
    decide(now,
           [&](Gate::Events& events) { became = gate_.become_stream(now, place.endpoint.key, departure, events); });
    return became;
}

void Pool::end_stream(Place& place) {
    const std::lock_guard lock(mutex_);
    gate_.end_stream(place.endpoint.key);
    let_go(place);
}

unsigned Pool::streams(WorkerKey worker) const {
    const std::lock_guard lock(mutex_);
    return gate_.streams(worker);
}

void Pool::tick(Instant now) {
    decide(now, [&](Gate::Events& events) { gate_.expire(now, events); });
}

Gate::Futile Pool::futile_shedding() const {
    const std::lock_guard lock(mutex_);
    return gate_.futile_shedding();
}

WorkerKey Pool::add(Endpoint endpoint, unsigned slots) {
    const std::lock_guard lock(mutex_);
    const WorkerKey key = next_key();
    endpoint.key = key;
    endpoint.named = is_name(endpoint.address);
    auto place = std::make_unique<Place>();
    place->endpoint = std::move(endpoint);
    gate_.add(key, slots, Clock::now(), affinity_hash(place->endpoint.worker));
    places_.emplace(key, std::move(place));
    return key;
}

void Pool::set_process(WorkerKey worker, int pid) {
    const std::lock_guard lock(mutex_);
    if (const auto found = places_.find(worker); found != places_.end()) found->second->pid = pid;
}

void Pool::set_slots(WorkerKey worker, unsigned slots) {
    const Instant now = Clock::now();
    decide(now, [&](Gate::Events& events) { gate_.set_slots(worker, slots, now, events); });
}

void Pool::accept(WorkerKey worker, bool accepting) {
    const Instant now = Clock::now();
    decide(now, [&](Gate::Events& events) { gate_.accept(worker, accepting, now, events); });
}

void Pool::remove(WorkerKey worker) {
    const std::lock_guard lock(mutex_);
    gate_.remove(worker);
    const auto found = places_.find(worker);
    if (found == places_.end()) return;
    found->second->removed = true;
    if (found->second->held == 0) places_.erase(found);
}

void Pool::set_homes(std::span<const WorkerKey> homes) {
    const std::lock_guard lock(mutex_);
    gate_.set_homes(homes);
}

void Pool::observe_stall(double share) {
    const std::lock_guard lock(mutex_);
    gate_.observe_stall(share);
}

unsigned Pool::slots(WorkerKey worker) const {
    const std::lock_guard lock(mutex_);
    return gate_.slots(worker);
}

std::optional<Gate::Learned> Pool::learned(WorkerKey worker) const {
    const std::lock_guard lock(mutex_);
    return gate_.learned(worker);
}

unsigned Pool::in_flight(WorkerKey worker) const {
    const std::lock_guard lock(mutex_);
    return gate_.in_flight(worker);
}

Gate::BreakerStats Pool::breaker(WorkerKey worker) const {
    const std::lock_guard lock(mutex_);
    return gate_.breaker(worker);
}

Priority Pool::takes(WorkerKey worker) const {
    const std::lock_guard lock(mutex_);
    return static_cast<Priority>(gate_.takes(worker) - 1);
}

CheckSlot Pool::begin_check(WorkerKey worker) {
    const std::lock_guard lock(mutex_);
    return gate_.begin_check(worker, Clock::now()) ? CheckSlot(this, worker) : CheckSlot();
}

void Pool::end_check(WorkerKey worker) {
    const Instant now = Clock::now();
    decide(now, [&](Gate::Events& events) { gate_.end_check(worker, now, events); });
}

void Pool::set_ailing(WorkerKey worker, bool ailing) {
    const Instant now = Clock::now();
    decide(now, [&](Gate::Events& events) { gate_.set_ailing(worker, ailing, now, events); });
}

std::uint64_t Pool::successes(WorkerKey worker) const {
    const std::lock_guard lock(mutex_);
    return gate_.successes(worker);
}

std::uint64_t Pool::requests(WorkerKey worker) const {
    const std::lock_guard lock(mutex_);
    const auto found = places_.find(worker);
    return found == places_.end() ? 0 : found->second->requests;
}

unsigned Pool::broken_off(WorkerKey worker) const {
    const std::lock_guard lock(mutex_);
    const auto found = places_.find(worker);
    if (found == places_.end() || Clock::now() - found->second->broken_since > recent) return 0;
    return found->second->broken_off;
}

Gate::Stats Pool::summary() const {
    const std::lock_guard lock(mutex_);
    return gate_.summary();
}

Gate::Stats Pool::stats() const {
    const std::lock_guard lock(mutex_);
    return gate_.stats();
}

} // namespace plimsoll::net
