#include "sim/overload_sim.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <queue>
#include <random>
#include <unordered_map>

namespace plimsoll::sim {

namespace {

using namespace std::chrono_literals;

constexpr DomainKey cgroup = 1; // in which all workers live

double milliseconds(Duration span) { return std::chrono::duration<double, std::milli>(span).count(); }

// Needs are told to the gate by labels, of which there is a bounded number: up to 3 % more is the same need.
Bytes rounded_up(Bytes need) {
    constexpr std::int64_t steps = 32; // of an octave
    std::int64_t step = 1;
    while (step * 2 * steps <= need.count) step *= 2;
    return Bytes{(need.count + step - 1) / step * step};
}

class Door {
public:
    explicit Door(const OverloadSettings& settings)
        : settings_(settings), random_(settings.seed), gate_(settings.gate),
          held_(settings.workers + std::size_t{1}, settings.memory.base),
          held_by_all_(settings.memory.base * settings.workers) {
        std::set<std::uint64_t> clients;
        for (const Traced& each : settings.trace) clients.insert(each.client);
        constexpr std::size_t roomy = 4; // so that no key pushes out another
        for (const RateLimit& each : settings.limits) rates_.emplace_back(each.by_client ? roomy * clients.size() : 1);
        report_.limits.resize(settings.limits.size());
        report_.memory.peak = held_by_all_; // what they hold at rest is the least
        report_.memory.worker_peak = settings.memory.base;
    }

    OverloadReport run() {
        Gate::Events events;
        for (WorkerKey key = 1; key <= settings_.workers; ++key) {
            gate_.add(key, settings_.slots, now_);
            if (settings_.memory.limited()) read_memory(key);
            gate_.accept(key, true, now_, events);
        }
        for (const Step& step : settings_.steps) length_ += step.length;
        if (!settings_.trace.empty()) length_ = settings_.trace.back().at;
        for (const Disturbance& each : settings_.disturbances) {
            at(Instant{} + each.from, [this, each] { disturb(each, true); });
            at(Instant{} + each.to, [this, each] { disturb(each, false); });
        }
        schedule_arrival();
        at(now_ + tick, [this] { on_tick(); });
        while (!events_.empty() && report_.broken.empty()) {
            const auto event = events_.top();
            events_.pop();
            now_ = event.at;
            event.what();
            check();
        }
        finish();
        return report_;
    }

private:
    struct Event {
        Instant at;
        std::uint64_t sequence;
        std::function<void()> what;
        bool operator<(const Event& other) const {
            return std::pair(at, sequence) > std::pair(other.at, other.sequence);
        }
    };
    struct Request {
        Instant arrived;
        Priority priority;
        RouteKey route;
        Duration service;
        Instant deadline = never;
        Bytes need{};
        std::uint64_t client = 0;
        RouteKey label = 0;
        bool waits_for_room = false;
    };
    static constexpr Duration tick = 10ms;
    static constexpr int ticks_a_reading = 50; // [pool.memory] interval
    // Longer than the gate takes to call overload over (10 s) or shedding futile (30 s).
    static constexpr Duration memory_of_a_moment = 60s;

    void at(Instant when, std::function<void()> what) { events_.push({when, ++sequence_, std::move(what)}); }
    double draw() { return std::uniform_real_distribution<>(0, 1)(random_); }
    double capacity() const { return settings_.workers * settings_.slots / to_seconds(settings_.service); }
    bool over() const { return now_ - Instant{} >= length_; }

    bool calm(Instant arrived) const { return settings_.calm_from && arrived >= Instant{} + *settings_.calm_from; }

    void disturb(const Disturbance& what, bool begins) {
        last_change_ = now_;
        Gate::Events events;
        switch (what.kind) {
        case Disturbance::Kind::away: gate_.accept(what.worker, !begins, now_, events); break;
        case Disturbance::Kind::ailing: gate_.set_ailing(what.worker, begins, now_, events); break;
        case Disturbance::Kind::failing: failing_[what.worker] = begins; break;
        case Disturbance::Kind::stall: gate_.observe_stall(begins ? 0.2 + 0.8 * draw() : 0); break;
        }
        deliver(events);
    }

    double load_now() const {
        Duration passed{};
        for (const Step& step : settings_.steps) {
            passed += step.length;
            if (now_ - Instant{} < passed) return step.load;
        }
        return settings_.steps.back().load;
    }

    void schedule_arrival() {
        if (!settings_.trace.empty()) {
            if (next_traced_ == settings_.trace.size()) return;
            at(Instant{} + settings_.trace[next_traced_].at, [this] {
                const Traced& each = settings_.trace[next_traced_++];
                schedule_arrival();
                arrive({now_, each.priority, each.route, each.service, each.deadline ? now_ + *each.deadline : never,
                        each.need, each.client, each.label});
            });
            return;
        }
        at(now_ + from_seconds(-std::log(1 - draw()) / (capacity() * load_now())), [this] {
            if (over()) return;
            schedule_arrival();
            const double kind = draw() * (settings_.mix[0] + settings_.mix[1] + settings_.mix[2]);
            const auto priority = kind < settings_.mix[0]                      ? Priority::critical
                                  : kind < settings_.mix[0] + settings_.mix[1] ? Priority::normal
                                                                               : Priority::sheddable;
            arrive({now_, priority, 1, service_time()});
        });
    }

    Duration service_time() {
        if (settings_.spread == 0) return settings_.service;
        std::normal_distribution<> normal(-settings_.spread * settings_.spread / 2, settings_.spread); // mean 1
        return from_seconds(to_seconds(settings_.service) * std::exp(normal(random_)));
    }

    // As the proxy asks them: one after the other; the first that refuses ends it, and those before it get their count back.
    // Returns for how long it would not pass.
    std::optional<Duration> over_rate(const Request& request) {
        const auto key = [&](const RateLimit& limit) { return limit.by_client ? request.client : 1; };
        std::vector<std::size_t> passed;
        for (std::size_t i = 0; i < settings_.limits.size(); ++i) {
            const RateLimit& limit = settings_.limits[i];
            if (limit.route != 0 && limit.route != request.route && limit.route != request.label) continue;
            LimitReport& report = report_.limits[i];
            ++report.asked;
            if (limit.by_client) report.clients.insert(request.client);
            const RateVerdict verdict = rates_[i].spend(now_, key(limit), limit.rate);
            if (verdict.allowed) {
                passed.push_back(i);
                continue;
            }
            ++report.refused;
            if (limit.by_client) report.refused_clients.insert(request.client);
            for (const std::size_t each : passed)
                rates_[each].give_back(key(settings_.limits[each]), settings_.limits[each].rate);
            return verdict.retry_after;
        }
        return std::nullopt;
    }

    // Memory, as the gate is told of it.
    void read_memory(WorkerKey worker) {
        const auto& [base, shared, own] = settings_.memory;
        // The limit of who has none of his own is his share of the common one, as the fleet has it.
        const Bytes limit = own ? *own : Bytes{shared->count / settings_.workers};
        if (shared) gate_.observe_domain(cgroup, held_by_all_, shared);
        gate_.observe(now_, worker, static_cast<double>(held_[worker].count) / static_cast<double>(limit.count),
                      {held_[worker], own, {shared ? cgroup : DomainKey{0}, 0}});
    }
    CostKey label_of(Bytes need) {
        if (need.count <= 0 || !settings_.memory.limited()) return 0;
        const Bytes about = rounded_up(need);
        const auto [found, is_new] = labels_.try_emplace(about.count, static_cast<CostKey>(labels_.size() + 1));
        if (is_new) gate_.costs().recall(found->second, about);
        return found->second;
    }
    bool weighs(Bytes need) const { return settings_.memory.limited() && rounded_up(need) > gate_.memory().light(); }
    void hold(WorkerKey worker, Bytes more) {
        held_[worker] = held_[worker] + more;
        held_by_all_ = held_by_all_ + more;
        const auto& [base, shared, own] = settings_.memory;
        MemoryReport& report = report_.memory;
        report.peak = std::max(report.peak, held_by_all_);
        report.worker_peak = std::max(report.worker_peak, held_[worker]);
        if (more.count > 0) report.passed += (shared && held_by_all_ > *shared) || (own && held_[worker] > *own);
    }
    // Whoever is in that line while a slot is free waits for room.
    void look_at_memory_line() {
        if (in_memory_line_.empty() || held_slots_ == std::uint64_t{settings_.workers} * settings_.slots) return;
        for (const Ticket ticket : in_memory_line_)
            if (const auto found = waiting_.find(ticket); found != waiting_.end()) found->second.waits_for_room = true;
        in_memory_line_.clear();
    }
    void waited(const Request& request) {
        if (request.waits_for_room) report_.memory.waits.push_back(milliseconds(now_ - request.arrived));
    }

    void arrive(const Request& request) {
        last_change_ = now_;
        Fate& fate = report_.of[index(request.priority)];
        ++fate.offered;
        if (const auto pause = over_rate(request)) {
            refuse(request, Reason::rate, *pause);
            return;
        }
        Gate::Events events;
        const Gate::Facts facts{.priority = request.priority,
                                .deadline = request.deadline,
                                .draw = draw(),
                                .route = request.route,
                                .label = label_of(request.need)};
        report_.memory.weighty += weighs(request.need);
        const bool turned_away = gate_.turns_away(now_, facts);
        const auto arrival = gate_.arrive(now_, facts, events);
        // Who is granted a slot that had come free before is told with the newcomer: it did not wait then.
        if (arrival.kind == Gate::Arrival::Kind::queued) newcomer_ = request.priority;
        deliver(events);
        newcomer_.reset();
        const bool refused = arrival.kind == Gate::Arrival::Kind::refused;
        report_.refused_at_once += refused;
        report_.foretold += refused && turned_away;
        report_.misjudged += turned_away && !refused;
        switch (arrival.kind) {
        case Gate::Arrival::Kind::admitted: serve(request, arrival.worker, arrival.probe); break;
        case Gate::Arrival::Kind::refused: refuse(request, arrival.reason, arrival.retry_after); break;
        case Gate::Arrival::Kind::queued:
            waiting_.emplace(arrival.ticket, request);
            if (weighs(request.need)) in_memory_line_.push_back(arrival.ticket);
            if (draw() < settings_.client_aborts)
                at(now_ + 3ms, [this, ticket = arrival.ticket] {
                    if (!gate_.leave(now_, ticket)) return;
                    ++report_.of[index(waiting_.at(ticket).priority)].left;
                    waiting_.erase(ticket);
                });
        }
    }

    void refuse(const Request& request, Reason reason, Duration retry_after) {
        if (reason == Reason::none) report_.broken = "a refusal without a reason";
        if (retry_after <= Duration::zero()) report_.broken = "a refusal without a hint when to come again";
        if (calm(request.arrived))
            report_.broken = "somebody was refused though all was calm: " + std::string(to_string(reason));
        waited(request);
        Fate& fate = report_.of[index(request.priority)];
        ++fate.refused;
        last_answer_ = now_;
        ++report_.reasons[std::string(to_string(reason))];
        fate.refusal_latency.push_back(milliseconds(now_ - request.arrived));
    }

    // So many of a priority may stand in the queue though a lower one is served: who has joined it just now, and those whose
    // deadline has passed and who will hear of it on the next tick.
    std::size_t exempt(std::size_t priority) const {
        std::size_t count = newcomer_ && index(*newcomer_) == priority;
        for (const auto& [ticket, each] : waiting_) count += index(each.priority) == priority && each.deadline <= now_;
        return count;
    }

    void serve(const Request& request, WorkerKey worker, Gate::Probe probe) {
        waited(request);
        check_permits(worker);
        ++held_slots_;
        hold(worker, request.need);
        const bool may_be_passed = settings_.memory.limited(); // who waits for room may
        for (std::size_t higher = 0; higher < index(request.priority); ++higher)
            if (gate_.waiting(static_cast<Priority>(higher)) > exempt(higher) && !may_be_passed)
                report_.broken = "a lower priority was served while a higher one waited";
        if (calm(request.arrived) && now_ - request.arrived > settings_.calm_wait)
            report_.broken = "somebody waited long though all was calm";
        at(now_ + request.service, [this, request, worker, probe, began = now_] {
            const auto failing = failing_.find(worker);
            const bool fails = worker == settings_.failing_worker || (failing != failing_.end() && failing->second) ||
                               draw() < settings_.failures;
            last_change_ = now_;
            --held_slots_;
            Fate& fate = report_.of[index(request.priority)];
            ++fate.served;
            fate.failed += fails;
            if (now_ > request.deadline)
                ++fate.late;
            else
                report_.worked += to_seconds(request.service);
            last_answer_ = now_;
            fate.latency.push_back(milliseconds(now_ - request.arrived));
            if (milliseconds(now_ - request.arrived) > 2 * milliseconds(settings_.service) + 5) last_slow_ = now_;
            Gate::Departure departure(fails ? Outcome::failure : Outcome::success);
            departure.took = now_ - began;
            departure.route = request.route;
            departure.probe = probe;
            departure.label = label_of(request.need);
            hold(worker, Bytes{} - request.need);
            Gate::Events events;
            gate_.depart(now_, worker, departure, events);
            deliver(events);
        });
    }

    void deliver(const Gate::Events& events) {
        for (const auto& event : events) {
            const auto found = waiting_.find(event.ticket);
            if (found == waiting_.end()) {
                report_.broken = "somebody who does not wait was told something";
                return;
            }
            const Request request = found->second;
            waiting_.erase(found);
            if (event.granted)
                serve(request, *event.granted, event.probe);
            else
                refuse(request, event.reason, event.retry_after);
        }
    }

    // Nobody waits, and whatever the gate remembers of a moment is over: time may jump to what comes next.
    bool idle() const { return waiting_.empty() && now_ - last_change_ > memory_of_a_moment; }

    void on_tick() {
        Gate::Events events;
        ++report_.ticks;
        if (!waiting_.empty()) last_change_ = now_;
        if (settings_.memory.limited() && (now_ - Instant{}) % (ticks_a_reading * tick) == Duration::zero())
            for (WorkerKey key = 1; key <= settings_.workers; ++key) read_memory(key);
        gate_.expire(now_, events);
        deliver(events);
        if (over() && waiting_.empty()) return;
        // All ticks are multiples of one, so that those behind a jump are where they would have been without it.
        const Duration jump = idle() && !events_.empty() ? events_.top().at - now_ : Duration::zero();
        at(now_ + std::max<Duration>(tick, (jump + tick - Duration{1}) / tick * tick), [this] { on_tick(); });
    }

    void check_permits(WorkerKey worker) {
        if (gate_.in_flight(worker) > settings_.slots) report_.broken = "more permits than slots";
    }

    void check() {
        if (settings_.watches_all)
            for (WorkerKey key = 1; key <= settings_.workers; ++key) check_permits(key);
        look_at_memory_line();
    }

    void finish() {
        report_.seconds = std::max(to_seconds(length_), to_seconds(last_answer_ - Instant{}));
        report_.slots = static_cast<double>(settings_.workers) * settings_.slots;
        report_.capacity = capacity();
        for (WorkerKey key = 1; key <= settings_.workers; ++key) report_.permits_at_end += gate_.in_flight(key);
        if (!settings_.steps.empty()) {
            const Instant last_step = Instant{} + length_ - settings_.steps.back().length;
            report_.recovered_after = std::max(0.0, to_seconds(last_slow_ - last_step));
        }
        if (report_.broken.empty() && report_.permits_at_end > 0) report_.broken = "a permit leaked";
        for (const Fate& fate : report_.of)
            if (report_.broken.empty() && fate.served + fate.refused + fate.left != fate.offered)
                report_.broken = "a request was lost";
    }

    const OverloadSettings& settings_;
    std::mt19937_64 random_;
    Gate gate_;
    std::priority_queue<Event> events_;
    std::unordered_map<Ticket, Request> waiting_;
    std::unordered_map<WorkerKey, bool> failing_;
    std::vector<RateTable> rates_; // by limit
    std::vector<Bytes> held_;      // by worker
    Bytes held_by_all_;
    std::unordered_map<std::int64_t, CostKey> labels_; // by need
    std::vector<Ticket> in_memory_line_; // those of whom it is not known yet whether it is room that they lack
    std::uint64_t sequence_ = 0;
    std::size_t next_traced_ = 0;
    Duration length_{};
    std::uint64_t held_slots_ = 0;
    Instant now_{}, last_slow_{}, last_answer_{}, last_change_{};
    std::optional<Priority> newcomer_; // it has joined the queue in the call whose events are being told
    OverloadReport report_;
};

std::vector<double> all_of(const OverloadReport& report, std::vector<double> Fate::*values) {
    std::vector<double> all;
    for (const Fate& fate : report.of) all.insert(all.end(), (fate.*values).begin(), (fate.*values).end());
    return all;
}

} // namespace

double OverloadReport::goodput() const {
    const double offered = slots * seconds;
    return offered > 0 ? worked / offered : 0;
}

double OverloadReport::served_share(Priority priority) const {
    const Fate& fate = of[index(priority)];
    return fate.offered == 0 ? 1 : static_cast<double>(fate.served) / static_cast<double>(fate.offered);
}

double OverloadReport::latency(double share) const { return quantile(all_of(*this, &Fate::latency), share); }
double OverloadReport::refusal_latency(double share) const {
    return quantile(all_of(*this, &Fate::refusal_latency), share);
}

OverloadReport run(const OverloadSettings& settings) { return Door(settings).run(); }

} // namespace plimsoll::sim
