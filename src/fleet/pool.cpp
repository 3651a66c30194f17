#include "fleet/pool.hpp"

#include <algorithm>

#include "fleet/death_watch.hpp"
#include "fleet/gate_watch.hpp"
#include "fleet/health_watch.hpp"
#include "fleet/leak_watch.hpp"
#include "fleet/monitor.hpp"
#include "fleet/peaks.hpp"
#include "fleet/recycler.hpp"
#include "fleet/wait.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

constexpr Duration recycle_bound = 1s;
constexpr std::size_t most_told = 3; // workers in one alert: the list of workers tells of all

} // namespace

Pool::Pool(std::shared_ptr<Context> context, config::Pool settings, std::shared_ptr<net::Pool> net)
    : context_(std::move(context)), settings_(std::move(settings)), net_(std::move(net)),
      monitor_(std::make_unique<Monitor>(*this)), peaks_(std::make_unique<Peaks>(*this)),
      health_(std::make_unique<HealthWatch>(*this)), deaths_(std::make_unique<DeathWatch>(*this)),
      leaks_(std::make_unique<LeakWatch>(*this)), recycler_(std::make_unique<Recycler>(*this)) {
    gate_ = std::make_unique<GateWatch>(
        net_, [this](WorkerKey key) { return id_of(key); },
        [this](std::string event, boost::json::object facts) {
            context_->journal.publish(std::move(event), std::move(facts));
        });
}

Pool::~Pool() = default;

std::string Pool::start() {
    std::string why_not;
    source_ = make_source(*this, why_not);
    if (!source_) return "pool " + settings_.name + ": " + why_not;
    leaks_->start();
    recycler_->resume(); // before the first worker comes: an earlier life may have left a recycle half done
    why_not = source_->start();
    if (!why_not.empty()) return "pool " + settings_.name + ": " + why_not;
    monitor_->start();
    peaks_->start();
    spawn(context_->control, "gate of " + settings_.name, watch_gate(shared_from_this()));
    return {};
}

void Pool::apply(const config::Pool& settings) {
    settings_ = settings; // its source as it was: another one needs a restart (config::in_effect)
    net_->configure(settings_);
    recycler_->configure();
    health_->configure();
    for (const WorkerPtr& worker : workers_) {
        worker->not_improved.reset(); // other limits, another judgement
        for (const GenerationPtr& generation : {worker->current, worker->next}) {
            if (!generation || generation->key == 0) continue;
            generation->slots = slots_of(*generation);
            net_->set_slots(generation->key, generation->slots);
        }
    }
}

std::string Pool::why_stopping() const {
    return context_->stopping ? "Plimsoll is stopping" : "its pool is in the configuration no more";
}

void Pool::part_from_agents() {
    for (const WorkerPtr& worker : workers_)
        for (const GenerationPtr& generation : {worker->current, worker->next}) {
            if (!generation) continue;
            if (generation->agent) generation->agent->hang_up();
            for (const std::weak_ptr<Agent>& each : generation->siblings)
                if (const auto sibling = each.lock()) sibling->hang_up();
        }
}

asio::awaitable<void> Pool::stop() {
    const auto self = shared_from_this();
    ends_ = true;
    for (const WorkerPtr& worker : workers_)
        for (const GenerationPtr& generation : {worker->current, worker->next})
            if (generation) update_acceptance(*worker, *generation);
    leaks_->save(); // the lives that end now taught something
    if (source_) co_await source_->stop();
    // A recycle in flight tells its incident that it was abandoned.
    const auto at_rest = [self] { return !self->recycler_->running(); };
    co_await until(at_rest, recycle_bound);
    for (const WorkerPtr& worker : workers_)
        for (const GenerationPtr& generation : {worker->current, worker->next})
            if (generation) take_out(*generation);
    net_->close(Clock::now());
}

WorkerPtr Pool::find(const std::string& id) const {
    const auto found = std::ranges::find(workers_, id, [](const WorkerPtr& worker) { return worker->id; });
    return found == workers_.end() ? nullptr : *found;
}

std::string Pool::id_of(WorkerKey key) const {
    for (const WorkerPtr& worker : workers_)
        for (const GenerationPtr& generation : {worker->current, worker->next})
            if (generation && generation->key == key) return worker->id;
    return {};
}

asio::awaitable<void> Pool::watch_gate(std::shared_ptr<Pool> self) {
    while (!self->stopping()) {
        const Instant now = Clock::now();
        self->net_->tick(now); // nobody else does where nobody asks, and what was on while they did ends all the same
        self->gate_->look(now, self->settings_);
        co_await pause(GateWatch::interval);
    }
}

unsigned Pool::serving() const {
    return static_cast<unsigned>(std::ranges::count_if(workers_, [](const WorkerPtr& w) { return w->serves(); }));
}

unsigned Pool::accepting() const {
    return static_cast<unsigned>(std::ranges::count_if(workers_, [](const WorkerPtr& w) { return w->accepts(); }));
}

std::optional<std::string> Pool::alert() const {
    if (!recycler_->alert().empty()) return recycler_->alert();
    if (const std::string own = troubles(); !own.empty()) return own;
    if (!recycler_->no_relief().empty()) return recycler_->no_relief();
    if (std::string waits = recycler_->waits_long(); !waits.empty()) return waits;
    return std::nullopt;
}

void Pool::set_alert(std::string why) {
    if (why == alert_) return;
    alert_ = std::move(why);
    alert_changed(alert_);
}

void Pool::set_trouble(const WorkerPtr& worker, std::string why) {
    if (why == worker->trouble) return;
    worker->trouble = std::move(why);
    worker->served_before_it = times_served_;
    alert_changed(worker->trouble);
}

void Pool::alert_changed(const std::string& news) {
    if (!news.empty()) log::error("pool_alert", {{"pool", settings_.name}, {"alert", news}});
    context_->journal.publish("alert", {{"pool", settings_.name}, {"alert", troubles()}});
}

// The pool's own comes first: it tells of its server, and of a server that does not run no worker is ready.
std::string Pool::troubles() const {
    std::string text = alert_;
    if (!deaths_->alert().empty()) text += (text.empty() ? "" : "; ") + deaths_->alert();
    std::size_t told = 0, left = 0;
    for (const WorkerPtr& worker : workers_) {
        if (worker->trouble.empty()) continue;
        if (told == most_told)
            ++left;
        else {
            text += (text.empty() ? "" : "; ") + worker->trouble;
            ++told;
        }
    }
    return left == 0 ? text : text + "; and " + std::to_string(left) + " more like that";
}

PoolView Pool::view() const {
    const Instant now = Clock::now();
    PoolView view;
    view.name = settings_.name;
    view.source = to_string(settings_.source.kind);
    for (const std::size_t waiting : net_->summary().queued) view.queued += waiting;
    view.serving = serving();
    view.alert = alert();
    view.deaths = deaths_->count();
    for (const WorkerPtr& worker : workers_) {
        view.workers.push_back(view_of(*worker, settings_.name, *net_, now, settings_.memory.stale_after));
        if (!worker->face()) continue;
        view.workers.back().leak = LeakWatch::view_of(*worker->face());
        view.workers.back().health = HealthWatch::view_of(*worker->face());
    }
    view.leaks = leaks_->report();
    view.unjudged = leaks_->unjudged();
    view.trims = leaks_->trim().count();
    view.trimmed = leaks_->trim().given_back();
    view.experiment = leaks_->experiment();
    health_->describe(view);
    recycler_->describe(view);
    return view;
}

WorkerPtr Pool::add_worker() {
    unsigned number = 1;
    const auto taken = [&](unsigned n) {
        return std::ranges::any_of(workers_, [n](const WorkerPtr& worker) { return worker->number == n; });
    };
    while (taken(number)) ++number;
    auto worker = std::make_shared<Worker>();
    worker->place = ++last_place_;
    worker->number = number;
    worker->id = settings_.name + "-" + std::to_string(number);
    const auto after =
        std::ranges::find_if(workers_, [number](const WorkerPtr& other) { return other->number > number; });
    workers_.insert(after, worker);
    return worker;
}

void Pool::drop_worker(const WorkerPtr& worker) {
    log::info("worker_dropped", {{"pool", settings_.name}, {"worker", worker->id}});
    std::erase(workers_, worker);
    // Its number may be free because the server has fewer workers now, or because it fails again and again to start one.
    if (!worker->trouble.empty() && worker->served_before_it == times_served_) set_alert(worker->trouble);
}

GenerationPtr Pool::new_generation(Worker& worker) {
    auto generation = std::make_shared<Generation>();
    generation->number = ++worker.generations;
    generation->born = generation->since = Clock::now();
    generation->started_at = std::chrono::system_clock::now();
    return generation;
}

void Pool::install(const WorkerPtr& worker, const GenerationPtr& generation) {
    worker->current = generation;
    spawn(context_->control, "attend " + worker->id, attend(shared_from_this(), worker, generation));
}

namespace {

asio::awaitable<void> drop_if_empty(std::shared_ptr<Pool> pool, WorkerPtr worker, GenerationPtr last, Duration after) {
    const auto filled = [pool, worker, last] { return pool->stopping() || worker->current != last; };
    // Only where the place still shows the one that left: a successor that came meanwhile keeps it.
    // One that is being recycled is waited for by its recycle.
    if (!co_await until(filled, after) && last->gone() && !worker->in_recycle) pool->drop_worker(worker);
}

} // namespace

void Pool::forget_place(const WorkerPtr& worker, Duration after) {
    if (!worker->current) return;
    spawn(context_->control, "empty place " + worker->id,
          drop_if_empty(shared_from_this(), worker, worker->current, after));
}

} // namespace plimsoll::fleet
