#include "plimsoll/policy/gate.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "plimsoll/policy/affinity.hpp"

namespace plimsoll {

namespace {

constexpr std::size_t few = 32; // up to here every worker is looked at

std::size_t index(Priority priority) { return static_cast<std::size_t>(priority); }
std::size_t index(Reason reason) { return static_cast<std::size_t>(reason); }

// An unknown pressure ranks in the middle: neither a reason to prefer a worker nor to spare it.
int pressure_step(double pressure) { return pressure < 0 ? 10 : static_cast<int>(std::min(pressure, 10.0) * 20); }

} // namespace

std::string_view to_string(Reason reason) {
    switch (reason) {
    case Reason::none: return "none";
    case Reason::rate: return "rate";
    case Reason::memory: return "memory";
    case Reason::breaker: return "breaker";
    case Reason::concurrency: return "concurrency";
    case Reason::queue_full: return "queue_full";
    case Reason::queue_timeout: return "queue_timeout";
    case Reason::deadline: return "deadline";
    case Reason::no_workers: return "no_workers";
    case Reason::draining: return "draining";
    case Reason::maintenance: return "maintenance";
    }
    return "unknown";
}

std::string_view to_string(Outcome outcome) {
    switch (outcome) {
    case Outcome::success: return "success";
    case Outcome::failure: return "failure";
    case Outcome::timeout: return "timeout";
    case Outcome::refused_upstream: return "refused_upstream";
    case Outcome::abandoned: return "abandoned";
    }
    return "unknown";
}

Gate::Gate(Settings settings) : settings_(settings) {}

void Gate::configure(const Settings& settings) { settings_ = settings; }

Gate::Worker* Gate::find(WorkerKey key) {
    const auto found = std::ranges::find(workers_, key, &Worker::key);
    return found == workers_.end() ? nullptr : &*found;
}

const Gate::Worker* Gate::find(WorkerKey key) const {
    const auto found = std::ranges::find(workers_, key, &Worker::key);
    return found == workers_.end() ? nullptr : &*found;
}

void Gate::add(WorkerKey worker, unsigned slots, Instant, std::uint64_t place) {
    if (find(worker)) return;
    Worker& added = workers_.emplace_back();
    added.key = worker;
    added.place = place;
    added.slots = slots;
}

void Gate::set_slots(WorkerKey worker, unsigned slots, Instant, Events& events) {
    Worker* found = find(worker);
    if (!found) return;
    found->slots = slots;
    grant(*found, events);
}

void Gate::accept(WorkerKey worker, bool accepting, Instant, Events& events) {
    Worker* found = find(worker);
    if (!found || found->removed) return;
    found->accepting = accepting;
    found->resting = false;
    grant(*found, events);
}

void Gate::observe(WorkerKey worker, double pressure, Bytes headroom) {
    Worker* found = find(worker);
    if (!found) return;
    found->pressure = pressure;
    found->headroom = headroom;
}

void Gate::remove(WorkerKey worker) {
    Worker* found = find(worker);
    if (!found) return;
    found->accepting = false;
    found->removed = true;
    if (found->in_flight == 0) std::erase_if(workers_, [&](const Worker& w) { return w.key == worker; });
}

unsigned Gate::in_flight(WorkerKey worker) const {
    const Worker* found = find(worker);
    return found ? found->in_flight : 0;
}

bool Gate::avoidable(WorkerKey worker) const {
    return std::ranges::any_of(workers_, [&](const Worker& w) { return w.accepting && w.key != worker; });
}

Gate::Worker* Gate::pick(const Facts& facts) {
    const bool avoids = facts.avoid && avoidable(*facts.avoid);
    if (facts.affinity)
        if (Worker* home = home_of(*facts.affinity, avoids ? facts.avoid : std::nullopt)) return home;
    const auto usable = [&](const Worker& w) { return w.free() && !(avoids && w.key == *facts.avoid); };
    const auto rank = [&](const Worker& w) {
        return std::tuple(w.pressure >= settings_.load_line, static_cast<double>(w.in_flight) / w.slots,
                          pressure_step(w.pressure));
    };
    if (workers_.size() > few) {
        const double scaled = facts.draw * static_cast<double>(workers_.size());
        const auto first = static_cast<std::size_t>(scaled) % workers_.size();
        const double rest = scaled - std::floor(scaled); // the digits that the first draw left over
        const auto second = static_cast<std::size_t>(rest * static_cast<double>(workers_.size())) % workers_.size();
        Worker& a = workers_[first];
        Worker& b = workers_[second];
        if (usable(a) && usable(b)) return rank(b) < rank(a) ? &b : &a;
        if (usable(a)) return &a;
        if (usable(b)) return &b;
    }
    Worker* best = nullptr;
    std::size_t ties = 0;
    for (Worker& w : workers_) {
        if (!usable(w)) continue;
        if (!best || rank(w) < rank(*best)) {
            best = &w;
            ties = 1;
        } else if (rank(w) == rank(*best)) {
            ++ties;
        }
    }
    if (!best || ties == 1) return best;
    auto chosen = static_cast<std::size_t>(facts.draw * static_cast<double>(ties));
    for (Worker& w : workers_) {
        if (!usable(w) || rank(w) != rank(*best)) continue;
        if (chosen-- == 0) return &w;
    }
    return best;
}

Gate::Worker* Gate::home_of(std::uint64_t affinity, std::optional<WorkerKey> avoid) {
    std::size_t accepting = 0, in_flight = 0;
    for (const Worker& w : workers_) {
        if (!w.accepting) continue;
        ++accepting;
        in_flight += w.in_flight;
    }
    Worker* home = nullptr;
    const auto rank = [&](const Worker& w) {
        return std::pair(w.pressure < settings_.load_line, affinity_score(affinity, w.place));
    };
    for (Worker& w : workers_) {
        if (!w.free() || w.key == avoid || w.in_flight >= affinity_bound(in_flight, accepting, w.slots)) continue;
        if (!home || rank(w) > rank(*home)) home = &w;
    }
    return home;
}

// The load line, for the pool as a whole: while every accepting worker is above it, requests that may be shed are. The
// other priorities keep being served (a level that only a recycle can lower must not refuse everybody for ever).
bool Gate::memory_sheds(const Facts& facts) {
    if (facts.priority != Priority::sheddable) return false;
    bool any = false;
    for (const Worker& w : workers_) {
        if (!w.accepting) continue;
        if (w.pressure < settings_.load_line) return false;
        any = true;
    }
    if (!any) return false;
    if (settings_.shed_enforced) return true;
    ++shadow_refused_[index(Reason::memory)];
    return false;
}

std::size_t Gate::waiting() const {
    std::size_t sum = 0;
    for (const auto& queue : queues_) sum += queue.size();
    return sum;
}

Gate::Arrival Gate::arrive(Instant now, const Facts& facts, Events& events) {
    Arrival arrival;
    const auto refuse = [&](Reason reason) {
        ++refused_[index(reason)];
        arrival.reason = reason;
        arrival.retry_after = std::chrono::seconds{1};
        return arrival;
    };
    if (facts.deadline <= now) return refuse(Reason::deadline);
    wake_rested(now, events);
    if (memory_sheds(facts)) return refuse(Reason::memory);
    if (Worker* worker = pick(facts)) {
        ++worker->in_flight;
        ++worker->admitted;
        ++admitted_;
        arrival.kind = Arrival::Kind::admitted;
        arrival.worker = worker->key;
        return arrival;
    }
    if (waiting() >= settings_.queue_size && !give_up_a_lower(facts.priority, events))
        return refuse(Reason::queue_full);
    arrival.kind = Arrival::Kind::queued;
    arrival.ticket = ++last_ticket_;
    queues_[index(facts.priority)].push_back({arrival.ticket, now, facts.deadline, facts.avoid});
    return arrival;
}

bool Gate::give_up_a_lower(Priority priority, Events& events) {
    for (std::size_t lowest = priorities; lowest-- > index(priority) + 1;) {
        if (queues_[lowest].empty()) continue;
        drop(static_cast<Priority>(lowest), queues_[lowest].size() - 1, Reason::queue_full, events);
        return true;
    }
    return false;
}

void Gate::drop(Priority priority, std::size_t position, Reason reason, Events& events) {
    auto& queue = queues_[index(priority)];
    ++refused_[index(reason)];
    events.push_back({queue[position].ticket, std::nullopt, reason});
    queue.erase(queue.begin() + static_cast<std::ptrdiff_t>(position));
}

void Gate::grant(Worker& worker, Events& events) {
    const bool avoidable_now = avoidable(worker.key);
    for (auto& queue : queues_) {
        for (auto waiting = queue.begin(); worker.free() && waiting != queue.end();) {
            if (avoidable_now && waiting->avoid == worker.key) {
                ++waiting;
                continue;
            }
            ++worker.in_flight;
            ++worker.admitted;
            ++admitted_;
            events.push_back({waiting->ticket, worker.key, Reason::none});
            waiting = queue.erase(waiting);
        }
    }
}

void Gate::wake_rested(Instant now, Events& events) {
    for (Worker& worker : workers_) {
        if (!worker.resting || now < worker.rested) continue;
        worker.resting = false;
        grant(worker, events);
    }
}

void Gate::depart(Instant now, WorkerKey worker, Outcome outcome, Events& events) {
    Worker* found = find(worker);
    if (!found || found->in_flight == 0) return;
    --found->in_flight;
    ++found->finished[static_cast<std::size_t>(outcome)];
    if (found->removed && found->in_flight == 0) {
        std::erase_if(workers_, [&](const Worker& w) { return w.key == worker; });
        return;
    }
    if (outcome == Outcome::refused_upstream) found->rest(now + settings_.rest);
    grant(*found, events);
}

void Gate::broke_off(Instant now, WorkerKey worker) {
    if (Worker* found = find(worker)) found->rest(now + settings_.pause);
}

bool Gate::leave(Ticket ticket) {
    for (auto& queue : queues_)
        if (std::erase_if(queue, [&](const Waiting& waiting) { return waiting.ticket == ticket; }) != 0) return true;
    return false;
}

void Gate::expire(Instant now, Events& events) {
    if (waiting() == 0) return;
    const bool anybody = std::ranges::any_of(workers_, &Worker::accepting);
    const Reason too_old = anybody ? Reason::queue_timeout : Reason::no_workers;
    for (std::size_t priority = 0; priority < priorities; ++priority) {
        auto& queue = queues_[priority];
        for (std::size_t i = 0; i < queue.size();) {
            if (queue[i].deadline <= now)
                drop(static_cast<Priority>(priority), i, Reason::deadline, events);
            else if (now - queue[i].arrived >= settings_.queue_timeout)
                drop(static_cast<Priority>(priority), i, too_old, events);
            else
                ++i;
        }
    }
    wake_rested(now, events);
    // A waiter that avoids a worker takes it after all once no other one is left.
    for (Worker& worker : workers_) grant(worker, events);
}

Gate::Stats Gate::stats() const {
    Stats stats;
    for (std::size_t i = 0; i < priorities; ++i) stats.queued[i] = queues_[i].size();
    stats.admitted = admitted_;
    std::ranges::copy(refused_, stats.refused);
    std::ranges::copy(shadow_refused_, stats.shadow_refused);
    for (const Worker& w : workers_) {
        WorkerStats& out = stats.workers.emplace_back();
        out.worker = w.key;
        out.slots = w.slots;
        out.in_flight = w.in_flight;
        out.accepting = w.accepting;
        out.admitted = w.admitted;
        std::ranges::copy(w.finished, out.finished);
    }
    return stats;
}

} // namespace plimsoll
