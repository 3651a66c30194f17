#include "sim/fleet_sim.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace plimsoll::sim {

namespace {

struct ModelWorker {
    WorkerKey key = 0;
    WorkerState state = WorkerState::serving;
    double pressure = 0.1;
};

class Fleet {
public:
    explicit Fleet(const Settings& settings)
        : settings_(settings), random_(settings.seed), gate_(settings.gate), planner_(settings.planner) {}

    Report run() {
        for (unsigned i = 0; i < settings_.workers; ++i) boot(places_.emplace_back());
        at(next_arrival(), [this] { arrive(); });
        at(now_ + tick, [this] { on_tick(); });
        while (!events_.empty() && report_.broken.empty()) {
            const auto event = events_.top();
            events_.pop();
            now_ = event.at;
            event.what();
            check();
        }
        for (const auto& w : gate_.stats().workers) report_.in_flight_at_end += w.in_flight;
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
    static constexpr Duration tick = std::chrono::milliseconds{10};

    void at(Instant when, std::function<void()> what) { events_.push({when, ++sequence_, std::move(what)}); }
    double draw() { return std::uniform_real_distribution<>(0, 1)(random_); }
    Duration exponential(double mean_seconds) {
        return std::chrono::duration_cast<Duration>(
            std::chrono::duration<double>(-std::log(1 - draw()) * mean_seconds));
    }
    bool over() const { return now_ >= Instant{} + settings_.length; }
    Instant next_arrival() {
        const double capacity = settings_.workers * settings_.slots / to_seconds(settings_.service_time);
        return now_ + exponential(1 / (capacity * settings_.load));
    }

    void boot(ModelWorker& place) {
        place = {++last_key_, WorkerState::serving, 0.1};
        gate_.add(place.key, settings_.slots, now_);
        gate_.observe(now_, place.key, place.pressure);
        Gate::Events events;
        gate_.accept(place.key, true, now_, events);
        deliver(events);
    }

    void arrive() {
        if (!over()) at(next_arrival(), [this] { arrive(); });
        ++report_.requests;
        const auto priority = static_cast<Priority>(static_cast<int>(draw() * 3));
        Gate::Events events;
        const auto arrival = gate_.arrive(now_, {.priority = priority, .draw = draw()}, events);
        deliver(events);
        switch (arrival.kind) {
        case Gate::Arrival::Kind::admitted: serve(arrival.worker); break;
        case Gate::Arrival::Kind::refused: refuse(arrival.reason); break;
        case Gate::Arrival::Kind::queued:
            if (draw() < settings_.client_aborts)
                at(now_ + std::chrono::milliseconds{5},
                   [this, ticket = arrival.ticket] { report_.left += gate_.leave(now_, ticket); });
            break;
        }
    }

    void refuse(Reason reason) {
        if (reason == Reason::none) report_.broken = "a refusal without a reason";
        ++report_.refused;
    }

    void serve(WorkerKey worker) {
        const auto place = std::ranges::find(places_, worker, &ModelWorker::key);
        if (place == places_.end() || !takes_requests(place->state)) {
            report_.broken = "a request was given to a worker that does not serve";
            return;
        }
        at(now_ + exponential(to_seconds(settings_.service_time)), [this, worker] {
            ++report_.answered;
            if (const auto it = std::ranges::find(places_, worker, &ModelWorker::key); it != places_.end()) {
                it->pressure += settings_.leak_a_request;
                gate_.observe(now_, worker, it->pressure);
            }
            Gate::Events events;
            gate_.depart(now_, worker, Outcome::success, events);
            deliver(events);
        });
    }

    void deliver(const Gate::Events& events) {
        for (const auto& event : events) {
            if (event.granted)
                serve(*event.granted);
            else
                refuse(event.reason);
        }
    }

    void on_tick() {
        Gate::Events events;
        gate_.expire(now_, events);
        deliver(events);
        plan();
        if (!over() || planner_.running() || !idle()) at(now_ + tick, [this] { on_tick(); });
    }

    bool idle() const {
        const auto stats = gate_.stats();
        return std::accumulate(std::begin(stats.queued), std::end(stats.queued), std::size_t{0}) == 0 &&
               std::ranges::all_of(stats.workers, [](const auto& w) { return w.in_flight == 0; });
    }

    std::vector<RecyclePlanner::Place> wishes() const {
        std::vector<RecyclePlanner::Place> out;
        for (const auto& place : places_) {
            out.push_back({place.key, place.state, std::nullopt, place.pressure});
            if (place.pressure >= settings_.soft_limit) out.back().wish = RecycleCause::soft_limit;
        }
        return out;
    }

    void plan() {
        const auto chosen = planner_.next(now_, wishes(), settings_.successor_first);
        if (!chosen || over()) return;
        planner_.started(now_, *chosen);
        ++report_.recycles;
        if (settings_.successor_first)
            at(now_ + settings_.boot_time, [this, worker = *chosen] {
                if (boot_fails()) return planner_.finished(now_, false, "did not boot");
                drain(worker);
            });
        else
            drain(*chosen);
    }

    bool boot_fails() {
        if (draw() >= settings_.boot_failures) return false;
        ++report_.failed_boots;
        return true;
    }

    void drain(WorkerKey worker) {
        auto& place = *std::ranges::find(places_, worker, &ModelWorker::key);
        place.state = WorkerState::draining;
        Gate::Events events;
        if (settings_.successor_first) {
            ending_.push_back(place);
            boot(place); // from here on the successor has the place, and serves
        }
        gate_.accept(worker, false, now_, events);
        deliver(events);
        await_drained(worker);
    }

    void await_drained(WorkerKey worker) {
        if (gate_.in_flight(worker) > 0) {
            at(now_ + tick, [this, worker] { await_drained(worker); });
            return;
        }
        gate_.remove(worker);
        std::erase_if(ending_, [&](const ModelWorker& w) { return w.key == worker; });
        if (settings_.successor_first) return planner_.finished(now_, true);
        retry_boot(worker, true);
    }

    void retry_boot(WorkerKey worker, bool first) {
        at(now_ + settings_.boot_time, [this, worker, first] {
            const bool fails = boot_fails();
            if (first) planner_.finished(now_, !fails, "did not boot");
            if (fails) return retry_boot(worker, false);
            boot(*std::ranges::find(places_, worker, &ModelWorker::key));
        });
    }

    void check() {
        if (!report_.broken.empty()) return;
        for (const auto* workers : {&places_, &ending_})
            for (const auto& w : *workers)
                if (gate_.in_flight(w.key) > settings_.slots) report_.broken = "more permits than slots";
        const auto serving = std::ranges::count_if(places_, [](const auto& p) { return takes_requests(p.state); });
        if (settings_.boot_failures == 0 && static_cast<unsigned>(serving) < planner_.min_serving(places_.size()))
            report_.broken = "fewer than min_serving workers serve";
        if (planner_.last_hour(now_) > settings_.planner.max_per_hour)
            report_.broken = "more than max_per_hour recycles";
    }

    const Settings settings_;
    std::mt19937_64 random_;
    Gate gate_;
    RecyclePlanner planner_;
    std::vector<ModelWorker> places_, ending_;
    std::priority_queue<Event> events_;
    std::uint64_t sequence_ = 0;
    WorkerKey last_key_ = 0;
    Instant now_{};
    Report report_;
};

} // namespace

Report run(const Settings& settings) { return Fleet(settings).run(); }

} // namespace plimsoll::sim
