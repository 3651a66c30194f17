#include "fleet/recycler.hpp"

#include <algorithm>

#include "fleet/health_watch.hpp"
#include "fleet/leak_watch.hpp"
#include "fleet/recycle.hpp"
#include "fleet/wait.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

// A generation that reaches its limit after so few requests, or that never was clearly below it, was not helped.
constexpr std::uint64_t hardly_served = 10;
constexpr double clearly_below = 0.9;
constexpr std::size_t lengths_kept = 8; // of recycles

constexpr Duration patience = 1min; // a wish that waits for longer is an operator's business
constexpr Duration belief = 10min;  // that a server which could not begin a successor beside the old one still cannot

RecyclePlanner::Settings planner_settings(const config::Recycle& recycle) {
    RecyclePlanner::Settings settings;
    settings.min_serving = recycle.min_serving;
    settings.max_per_hour = recycle.max_per_hour;
    return settings;
}

struct Crossed {
    RecycleCause cause;
    Bytes limit;
    const char* name;
};

// The highest limit that this reading has reached. A share ("80%") says nothing where the worker's limit is not known.
std::optional<Crossed> crossed(const config::Recycle& recycle, const MemoryReading& memory, Bytes used) {
    const auto reached = [&](const std::optional<config::Level>& level) -> std::optional<Bytes> {
        if (!level || (std::holds_alternative<double>(level->value) && !memory.limit)) return std::nullopt;
        const Bytes bytes = level->of(memory.limit.value_or(Bytes{}));
        if (bytes.count <= 0 || used < bytes) return std::nullopt;
        return bytes;
    };
    if (const auto hard = reached(recycle.hard_limit)) return Crossed{RecycleCause::hard_limit, *hard, "hard_limit"};
    if (const auto soft = reached(recycle.soft_limit)) return Crossed{RecycleCause::soft_limit, *soft, "soft_limit"};
    return std::nullopt;
}

} // namespace

Recycler::Recycler(Pool& pool)
    : pool_(pool), planner_(planner_settings(pool.settings().recycle)), marker_(pool.context(), pool.settings().name) {}

Recycler::~Recycler() = default;

void Recycler::configure() { planner_.configure(planner_settings(pool_.settings().recycle)); }

bool Recycler::recycles(const Worker& worker) const { return planner_.running() == worker.place; }

const std::string& Recycler::alert() const {
    if (!planner_.alert().empty()) return planner_.alert();
    for (const WorkerPtr& worker : pool_.workers())
        if (!worker->alert.empty()) return worker->alert;
    return planner_.alert();
}

bool Recycler::successor_first() const {
    return pool_.source().successor_first() && (!drain_first_until_ || Clock::now() >= *drain_first_until_);
}

void Recycler::must_drain_first() { drain_first_until_ = Clock::now() + belief; }

std::string Recycler::waits_long() const {
    if (waits_.empty() || Clock::now() - waits_since_ < patience) return {};
    return "a worker should be recycled, and waits: " + waits_;
}

void Recycler::healed() {
    if (planner_.alert().empty() || planner_.running()) return;
    log::info("recycling_goes_on", {{"pool", pool_.settings().name}, {"was_halted_by", planner_.alert()}});
    planner_.heal();
}

bool Recycler::urgent() const {
    const Instant now = Clock::now();
    return std::ranges::any_of(pool_.workers(), [&](const WorkerPtr& worker) {
        if (!worker->current || worker->current->gone()) return false;
        const MemoryReading& memory = worker->current->memory;
        const auto used = memory.used(now, pool_.settings().memory.stale_after);
        const auto over = used ? crossed(pool_.settings().recycle, memory, *used) : std::nullopt;
        return over && over->cause == RecycleCause::hard_limit && worker->not_improved != RecycleCause::hard_limit;
    });
}

std::optional<Duration> Recycler::longest() const {
    if (lengths_.empty()) return std::nullopt;
    return *std::ranges::max_element(lengths_);
}

void Recycler::captured(bool whole) { ++(whole ? captures_ok_ : captures_failed_); }

void Recycler::describe(PoolView& view) const {
    view.min_serving = planner_.min_serving(pool_.workers().size());
    view.max_per_hour = pool_.settings().recycle.max_per_hour;
    view.recycles_last_hour = planner_.last_hour(Clock::now());
    for (const WorkerPtr& worker : pool_.workers())
        if (recycles(*worker)) view.recycling = worker->id;
    view.recycles_ok = recycles_ok_;
    view.recycles_failed = recycles_failed_;
    view.captures_ok = captures_ok_;
    view.captures_failed = captures_failed_;
}

std::vector<RecyclePlanner::Place> Recycler::places() const {
    const Instant now = Clock::now();
    std::vector<RecyclePlanner::Place> places;
    places.reserve(pool_.workers().size());
    for (const WorkerPtr& worker : pool_.workers()) {
        RecyclePlanner::Place place;
        place.worker = worker->place;
        place.state = worker->state();
        place.wish = worker->wish;
        place.accepts = worker->accepts();
        if (worker->current)
            place.pressure = worker->current->memory.pressure(now, pool_.settings().memory.stale_after).value_or(-1);
        places.push_back(place);
    }
    return places;
}

void Recycler::judge(const WorkerPtr& worker, Instant now) {
    const GenerationPtr& generation = worker->current;
    if (!generation || recycles(*worker)) return;
    if (worker->wish == RecycleCause::futile_shedding) worker->wish.reset(); // wished anew while it is so: relieve()
    if (!takes_requests(generation->state) && !(worker->held && generation->state == WorkerState::draining)) {
        worker->wish.reset();
        return;
    }
    const MemoryReading& memory = generation->memory;
    const auto used = memory.used(now, pool_.settings().memory.stale_after);
    const auto over = used ? crossed(pool_.settings().recycle, memory, *used) : std::nullopt;
    if (!over) {
        if (!used) return; // unknown is no reason to act, and none to take back what was known
        worker->wish.reset();
        worker->not_improved.reset();
        worker->alert.clear();
        return judge_leak(worker, now);
    }
    // Above a limit that no recycle gets it below, it may leak all the same: what it began with is not what it ends with.
    if (worker->not_improved && *worker->not_improved <= over->cause) return judge_leak(worker, now);
    const std::string numbers = "uses " + to_string(*used) + ", " + over->name + " is " + to_string(over->limit);
    if (worker->last_cause && *worker->last_cause <= over->cause) {
        const bool never_below = memory.floor && static_cast<double>(memory.floor->count) >=
                                                     clearly_below * static_cast<double>(over->limit.count);
        if (never_below || pool_.requests(*generation) < hardly_served)
            return not_improved(worker, over->cause, numbers);
    }
    const std::string why_not = pool_.source().why_not_recycle(*worker);
    if (!why_not.empty()) {
        worker->alert = worker->id + " " + numbers + ", but it cannot be recycled: " + why_not;
        return;
    }
    if (generation->state == WorkerState::serving) pool_.move(*worker, *generation, WorkerState::suspect);
    worker->wish = over->cause;
    worker->why = numbers;
}

// Below every limit, or above one for which it is not recycled again: is it on its way to the next?
void Recycler::judge_leak(const WorkerPtr& worker, Instant now) {
    Generation& generation = *worker->current;
    const bool suspect = LeakWatch::suspects(generation);
    if (suspect != (generation.state == WorkerState::suspect))
        pool_.move(*worker, generation, suspect ? WorkerState::suspect : WorkerState::serving);
    std::string why = pool_.leaks().why_recycle(generation, now);
    if (why.empty() || !pool_.source().why_not_recycle(*worker).empty()) return;
    worker->wish = RecycleCause::leak;
    worker->why = std::move(why);
}

// Refusing requests did not lower the memory: is there a worker whose recycle would? (plimsoll/fleet/relief.hpp)
void Recycler::relieve(Instant now) {
    const config::Pool& settings = pool_.settings();
    const bool wanted =
        settings.recycle.futile_shedding && settings.memory.mode == Mode::enforce && settings.leak.policy == "act";
    const Gate::Futile futile = wanted ? pool_.net().futile_shedding() : Gate::Futile{};
    if (!futile.is) {
        no_relief_.clear();
        no_relief_told_.clear();
        return;
    }
    if (futile.whose == PressureOf::unknown) return; // of one worker nothing is known for a moment
    std::vector<Relief::Worker> workers;
    workers.reserve(pool_.workers().size());
    for (const WorkerPtr& worker : pool_.workers()) {
        if (!worker->current || worker->current->gone()) continue;
        const MemoryReading& memory = worker->current->memory;
        Relief::Worker each;
        each.place = worker->place;
        each.recyclable = takes_requests(worker->current->state) && pool_.source().why_not_recycle(*worker).empty();
        each.busy = worker->wish.has_value();
        if (memory.used(now, settings.memory.stale_after)) each.used = memory.low_water.least();
        each.floor = memory.floor;
        each.limit = memory.limit;
        each.past = worker->relief;
        workers.push_back(each);
    }
    const auto verdict = Relief::choose(
        now, workers, {futile.whose == PressureOf::worker, futile.limit, settings.memory.load_line, relief_ended_});
    if (verdict.recycle) no_relief_.clear();
    if (!verdict.why_not.empty()) // else it is too early to say anything new
        no_relief_ = "its memory is near the limit, refusing requests did not lower it, and no recycle would: " +
                     std::string(verdict.why_not);
    if (!no_relief_.empty() && no_relief_ != no_relief_told_) {
        log::warn("no_recycle_helps", {{"pool", settings.name}, {"why", verdict.why_not}});
        no_relief_told_ = no_relief_;
    }
    if (!verdict.recycle) return;
    const auto worker =
        std::ranges::find(pool_.workers(), *verdict.recycle, [](const WorkerPtr& each) { return each->place; });
    const MemoryReading& memory = (*worker)->current->memory;
    (*worker)->wish = RecycleCause::futile_shedding;
    (*worker)->why = "uses " + to_string(*memory.low_water.least()) + ", " +
                     to_string(*memory.low_water.least() - *memory.floor) +
                     " more than when it began, and refusing requests did not lower the memory of the pool";
}

void Recycler::not_improved(const WorkerPtr& worker, RecycleCause cause, const std::string& numbers) {
    worker->not_improved = cause;
    worker->wish.reset();
    worker->alert = worker->id + " " + numbers +
                    " although it was just recycled for that: it is not recycled again "
                    "(raise " +
                    std::string(to_string(cause)) + ", or find what it loads)";
    const auto incident = pool_.context().journal.open(
        {pool_.settings().name, worker->id, std::string(to_string(cause)), worker->alert, worker->current->number});
    incident->note("generation " + std::to_string(worker->current->number) + " " + numbers + " after only " +
                   std::to_string(pool_.requests(*worker->current)) + " requests");
    incident->note(
        "another recycle would change as little: nothing is done until it falls below the limit, the limit is "
        "changed, or an operator recycles it");
    incident->details["recycle"] = {{"outcome", "not_improved"}};
    incident->close();
}

void Recycler::tick(Instant now) {
    if (pool_.stopping()) return;
    for (const WorkerPtr& worker : pool_.workers()) judge(worker, now);
    if (planner_.running()) return;
    relieve(now);
    const auto chosen = planner_.next(now, places(), successor_first());
    if (!chosen) return tell_why_it_waits(now);
    waits_.clear();
    const auto worker = std::ranges::find(pool_.workers(), *chosen, [](const WorkerPtr& w) { return w->place; });
    begin(*worker, *(*worker)->wish, (*worker)->id + " " + (*worker)->why);
}

// Once for each reason, not once for each reading.
void Recycler::tell_why_it_waits(Instant now) {
    const auto all = places();
    const auto wish = RecyclePlanner::most_urgent(all);
    const std::string reason = wish ? planner_.ask(now, *wish, all, successor_first()).reason : std::string();
    if (reason == waits_) return;
    if (waits_.empty() || reason.empty()) waits_since_ = now;
    waits_ = reason;
    if (!reason.empty()) log::warn("recycle_waits", {{"pool", pool_.settings().name}, {"reason", reason}});
}

ActionResult Recycler::request(const WorkerPtr& worker, const std::string& why) {
    using Kind = RecyclePlanner::Verdict::Kind;
    if (!worker->current || worker->current->gone()) return {409, {}, worker->id + " has no process now", Duration(2s)};
    const std::string why_not = pool_.source().why_not_recycle(*worker);
    if (!why_not.empty()) return {409, {}, why_not, std::nullopt};
    const auto verdict = planner_.ask(Clock::now(), worker->place, places(), successor_first());
    if (verdict.kind != Kind::go)
        return {verdict.kind == Kind::hourly_limit ? 429 : 409, {}, verdict.reason, verdict.retry_after};
    const auto incident = begin(worker, RecycleCause::operator_request,
                                why.empty() || why == "operator" ? "an operator asked to recycle " + worker->id
                                                                 : worker->id + ": " + why);
    return {202, incident->id(), {}, std::nullopt};
}

std::shared_ptr<Incident> Recycler::begin(const WorkerPtr& worker, RecycleCause cause, const std::string& why) {
    auto incident = pool_.context().journal.open(
        {pool_.settings().name, worker->id, std::string(to_string(cause)), why, worker->current->number});
    planner_.started(began_ = Clock::now(), worker->place);
    running_ = std::make_shared<Recycle>(pool_.shared_from_this(), worker, cause, incident);
    spawn(pool_.context().control, "recycle " + worker->id, running_->run());
    pool_.leaks().recycled(*worker, incident->id());
    return incident;
}

std::string Recycler::why_not_drain_first(const Worker& worker) const {
    if (worker.held || !worker.accepts()) return {}; // it serves nobody as it is
    const unsigned accepting = pool_.accepting();
    const unsigned wanted = planner_.min_serving(pool_.workers().size());
    if (accepting >= wanted + 1) return {};
    return std::to_string(accepting) + " of " + std::to_string(pool_.workers().size()) +
           " workers serve; min_serving is " + std::to_string(wanted);
}

void Recycler::finished(const WorkerPtr& worker, RecycleCause cause, End end, const std::string& why) {
    worker->wish.reset();
    running_.reset();
    marker_.erase();
    if (end == End::abandoned) return planner_.abandoned();
    ++(end == End::done ? recycles_ok_ : recycles_failed_);
    const Instant now = Clock::now();
    planner_.finished(now, end == End::done, why);
    relief_ended_ = now; // whatever it was for: the line has to see what comes of it
    if (end != End::done) return;
    lengths_.push_back(now - began_);
    if (lengths_.size() > lengths_kept) lengths_.pop_front();
    pool_.set_alert({}); // a successor serves: what was wrong with the one before is mended
    pool_.set_trouble(worker, {});
    if (cause == RecycleCause::futile_shedding) {
        worker->relief = worker->relief.again(now);
        return; // of the worker's own limits, and of whether a recycle helps there, it says nothing
    }
    worker->last_cause = cause;
    worker->not_improved.reset();
    worker->alert.clear();
}

void Recycler::resume() {
    const auto left = Marker::read(pool_.context(), pool_.settings().name);
    if (!left) return;
    const auto incident = pool_.context().journal.resume(
        left->incident, {pool_.settings().name, left->worker, "recycle", {}, left->generation});
    planner_.settling(true);
    spawn(pool_.context().control, "left over recycle", settle(pool_.shared_from_this(), *left, incident));
}

asio::awaitable<void> Recycler::settle(std::shared_ptr<Pool> pool, LeftOver left, std::shared_ptr<Incident> incident) {
    struct Settled { // however this ends
        std::shared_ptr<Pool> pool;
        ~Settled() { pool->recycler().planner_.settling(false); }
    };
    const Settled settled{pool};
    incident->note("Plimsoll was restarted in the middle of this recycle (stage: " + left.stage + ")");
    const std::string outcome = co_await pool->source().settle(left);
    incident->note(outcome);
    incident->verdict(left.worker + " was being recycled when Plimsoll was restarted: " + outcome);
    pool->recycler().marker_.erase();
}

} // namespace plimsoll::fleet
