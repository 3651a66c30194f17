// Holds on a worker's slot: of a request, and of a health check.
#include <utility>

#include "net/pool.hpp"
#include "sense/memory.hpp"

namespace plimsoll::net {

Permit::Permit(Permit&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)), place_(std::exchange(other.place_, nullptr)), route_(other.route_),
      label_(other.label_), probe_(other.probe_), since_(other.since_), pause_(other.pause_), work_(other.work_),
      stream_(other.stream_), endless_(other.endless_), paced_(other.paced_) {}

Permit& Permit::operator=(Permit&& other) noexcept {
    if (this != &other) {
        if (pool_) finish(Outcome::abandoned);
        pool_ = std::exchange(other.pool_, nullptr);
        place_ = std::exchange(other.place_, nullptr);
        route_ = other.route_;
        label_ = other.label_;
        probe_ = other.probe_;
        since_ = other.since_;
        pause_ = other.pause_;
        work_ = other.work_;
        stream_ = other.stream_;
        endless_ = other.endless_;
        paced_ = other.paced_;
    }
    return *this;
}

Duration Permit::finish(Outcome outcome) {
    if (!pool_) return Duration::zero();
    auto& place = *std::exchange(place_, nullptr);
    Pool& pool = *std::exchange(pool_, nullptr);
    const Instant now = Clock::now();
    stream_ ? pool.end_stream(place) : pool.depart(now, place, departure(outcome, now));
    return now - since_;
}

void Permit::become_stream(Outcome so_far, bool endless) {
    if (!pool_ || stream_) return;
    const Instant now = Clock::now();
    stream_ = pool_->become_stream(now, *place_, departure(so_far, now));
    endless_ = endless;
    paced_ = true;
    probe_ = {}; // it has been told
}

Gate::Departure Permit::departure(Outcome outcome, Instant now) const {
    Gate::Departure departure(outcome);
    if (!endless_) departure.took = now - since_;
    departure.work = work_;
    departure.paced = paced_;
    departure.route = route_;
    departure.label = label_;
    departure.retry_after = pause_;
    departure.probe = probe_;
    return departure;
}

bool Permit::of_told_slots() const {
    if (!pool_) return false;
    const std::lock_guard lock(pool_->mutex_);
    return !pool_->gate_.learned(place_->endpoint.key);
}

bool Permit::needs_memory() const { return pool_ && pool_->needs_memory(label_); }

// Some 15 us, and only of a worker that hung up: whoever is sent to a dying process is lost. What is known is not asked again.
bool Permit::worker_is_ending() const {
    const int pid = place_->pid.load(std::memory_order_relaxed);
    if (pid <= 0) return false;
    if (place_->ending.load(std::memory_order_relaxed) == pid) return true;
    const auto stat = sense::Reader().stat(pid);
    if (!stat || !stat->ending) return false; // without /proc nobody knows; one that is reaped has closed its listener
    place_->ending.store(pid, std::memory_order_relaxed);
    return true;
}

void Permit::hung_up() {
    if (!pool_ || !worker_is_ending()) return;
    const Instant now = Clock::now();
    const std::lock_guard lock(pool_->mutex_);
    pool_->gate_.is_ending(now, place_->endpoint.key);
}

void Permit::broken_off() {
    if (!pool_) return;
    hung_up();
    const Instant now = Clock::now();
    const std::lock_guard lock(pool_->mutex_);
    pool_->gate_.broke_off(now, place_->endpoint.key);
    if (now - place_->broken_since > Pool::recent) {
        place_->broken_since = now;
        place_->broken_off = 0;
    }
    ++place_->broken_off;
}

bool CheckSlot::of_told_slots() const {
    if (!pool_) return false;
    const std::lock_guard lock(pool_->mutex_);
    return !pool_->gate_.learned(worker_);
}

void CheckSlot::give_back() {
    if (Pool* pool = std::exchange(pool_, nullptr)) pool->end_check(worker_);
}

} // namespace plimsoll::net
