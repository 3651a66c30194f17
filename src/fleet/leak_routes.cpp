#include "fleet/leak_routes.hpp"

#include <algorithm>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include "fleet/leak_evidence.hpp"
#include "plimsoll/leak/route_labels.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t stretch = 50; // requests: fewer are all noise of pages
constexpr std::uint64_t patience = 4; // stretches that a busy worker is waited for
constexpr std::size_t most_intervals = 800;
// Between two looks: twenty times what one takes (a twentieth of a core, however many routes and stretches there are), within these.
constexpr int times_a_look = 20;
constexpr Duration least_pause = 1s, pause_of_experiment = 5s, pause_of_known = 20s, most_pause = 60s;
constexpr unsigned most_unsampled = 100;  // of our own readings, until the agent is no longer waited for
constexpr std::uint64_t most_apart = 400; // requests between two words of the agent; our own readings come more often
constexpr unsigned looks_in_a_row = 2;    // that are sure: one may be luck
constexpr std::size_t least_news = 8;     // intervals, before it is worth another look
constexpr double young_part = 4;          // of the longest life: where workers do not get old, warm-up is shorter
constexpr std::uint64_t chance = 0x1e4af; // the same intervals give the same answer

void merge(std::vector<double>& counts, std::size_t label) {
    counts[leak::RouteLabels::other] += std::exchange(counts[label], 0);
}

} // namespace

leak::Attribution attribute(const std::vector<leak::Interval>& intervals) {
    double oldest = 0;
    for (const leak::Interval& each : intervals) oldest = std::max(oldest, each.age);
    leak::AttributionSettings settings;
    settings.young = std::min(settings.young, oldest / young_part);
    return leak::attribute(intervals, settings, chance);
}

std::vector<RouteShare> named(const leak::Attribution& found, const std::vector<std::string>& names) {
    std::vector<RouteShare> routes;
    for (const leak::Share& share : found.shares) {
        RouteShare route{{}, share.bytes, share.low, share.high, share.share};
        for (const std::size_t label : share.labels)
            route.route += (route.route.empty() ? "" : " + ") + names[label < names.size() ? label : 0];
        if (share.labels.empty()) route.route = every_route;
        routes.push_back(std::move(route));
    }
    return routes;
}

void rank(std::vector<RouteShare>& routes, leak::RouteOrder& order, const leak::Attribution& found, std::size_t seen) {
    leak::RouteOrder::Look look{
        .routes = {}, .first = found.first, .unnamed = found.unnamed, .intervals = found.intervals, .seen = seen};
    for (const RouteShare& each : routes) {
        const double growth = each.share / std::max(each.bytes_per_request, 1e-9);
        look.routes.push_back({labels_of(each.route), growth * each.low, growth * each.high});
    }
    const auto ranks = order.look(look);
    for (std::size_t i = 0; i < ranks.size(); ++i) routes[i].heaviest = ranks[i];
}

std::optional<double> in_use_of(const Sample& sample) {
    if (!sample.anon || !sample.malloc_free || *sample.malloc_free > *sample.anon) return std::nullopt;
    return static_cast<double>(sample.anon->count - sample.malloc_free->count);
}

LeakRoutes::LeakRoutes(Context& context, net::Pool& pool) : context_(context), pool_(pool) {}
LeakRoutes::~LeakRoutes() { pool_.steering().end(); }

void LeakRoutes::hand_over(const std::vector<std::uint32_t>& serials) {
    serials_.resize(serials.size());
    for (std::size_t label = 0; label < serials.size(); ++label) {
        if (std::exchange(serials_[label], serials[label]) == serials[label]) continue;
        for (leak::Interval& each : intervals_)
            if (each.counts.size() > label) merge(each.counts, label);
        for (auto& [worker, life] : lives_)
            if (life.counts.size() > label)
                life.counts[leak::RouteLabels::other] += std::exchange(life.counts[label], 0);
    }
}

LeakRoutes::Life& LeakRoutes::life_of(WorkerKey worker, std::uint64_t requests) {
    const auto [found, is_new] = lives_.try_emplace(worker);
    Life& life = found->second;
    if (is_new) pool_.route_counts().watch(worker);
    requests_ += is_new ? 0 : requests - life.last_requests;
    life.last_requests = requests;
    return life;
}

void LeakRoutes::read(WorkerKey worker, std::uint64_t requests, double used) {
    Life& life = life_of(worker, requests);
    if (life.by_agent && ++life.unsampled < most_unsampled) return;
    if (std::exchange(life.by_agent, false)) life.number = 0;
    take(worker, life, requests, used);
}

void LeakRoutes::sampled(WorkerKey worker, std::uint64_t requests, double in_use) {
    Life& life = life_of(worker, requests);
    const bool near = requests - std::exchange(life.sampled, requests) <= most_apart;
    life.unsampled = near ? 0 : most_unsampled;
    if (!near) return;
    if (!std::exchange(life.by_agent, true)) life.number = 0;
    take(worker, life, requests, in_use);
}

void LeakRoutes::take(WorkerKey worker, Life& life, std::uint64_t requests, double used) {
    const bool is_new = life.number == 0;
    const bool at_rest = pool_.in_flight(worker) == 0;
    if (!is_new && requests - life.requests < stretch * (at_rest ? 1 : patience)) return;
    const net::RouteCounts::Row row = pool_.route_counts().of(worker);
    hand_over(row.serials);
    if (is_new) {
        life.number = ++last_number_;
    } else {
        leak::Interval interval{.worker = life.number,
                                .age = static_cast<double>(life.requests),
                                .growth = used - life.used,
                                .counts = {},
                                .busy = !at_rest};
        life.counts.resize(row.requests.size());
        for (std::size_t label = 0; label < row.requests.size(); ++label)
            interval.counts.push_back(static_cast<double>(row.requests[label]) -
                                      static_cast<double>(life.counts[label]));
        intervals_.push_back(std::move(interval));
        if (intervals_.size() > most_intervals) intervals_.pop_front();
        ++seen_;
    }
    life.requests = requests;
    life.used = used;
    life.counts = row.requests;
}

void LeakRoutes::ended(WorkerKey worker) {
    lives_.erase(worker);
    pool_.route_counts().forget(worker);
}

void LeakRoutes::look(Instant now) {
    const bool enough = intervals_.size() >= leak::AttributionSettings{}.least && seen_ - looked_ >= least_news;
    const Duration least = experiment_.running() ? pause_of_experiment
                           : outcome_->sure == 0 ? least_pause
                                                 : pause_of_known;
    const Duration pause = std::clamp<Duration>(times_a_look * outcome_->took, least, most_pause);
    if (!enough || outcome_->busy || (looked_at_ && now - *looked_at_ < pause)) return;
    looked_at_ = now;
    looked_ = seen_;
    outcome_->busy = true;
    const auto tell = [outcome = outcome_, seen = seen_](leak::Attribution found, std::vector<RouteShare> routes,
                                                         Duration took) {
        outcome->busy = false;
        outcome->took = took;
        outcome->open = std::move(found.open);
        outcome->sure = leak::sure(found) ? outcome->sure + 1 : 0;
        outcome->parted = leak::parted(found);
        if (routes.empty()) return; // what was known still holds
        rank(routes, outcome->order, found, seen);
        outcome->routes = std::move(routes);
        outcome->fresh = true;
    };
    auto find_out = [tell, intervals = std::vector(intervals_.begin(), intervals_.end()),
                     names = pool_.route_counts().names(), control = context_.control.get_executor()]() mutable {
        const Instant began = Clock::now();
        for (leak::Interval& each : intervals) each.counts.resize(names.size());
        auto found = attribute(intervals);
        auto routes = named(found, names);
        boost::asio::post(control,
                          [tell, took = Clock::now() - began, found = std::move(found),
                           routes = std::move(routes)]() mutable { tell(std::move(found), std::move(routes), took); });
    };
    boost::asio::post(*context_.threads, std::move(find_out));
}

std::string LeakRoutes::experiment(Instant now, bool suspected, bool observed, const config::Leak& settings) {
    using Change = leak::Experiment::Change;
    net::Steering& steering = pool_.steering();
    const leak::Experiment::Settings how{.on = settings.experiments && settings.policy != "observe",
                                         .budget = settings.experiment_budget,
                                         .slower = settings.experiment_slowdown};
    leak::Experiment::Sight sight;
    sight.suspected = suspected;
    sight.ready = looked_ > 0 && !outcome_->busy;
    const unsigned enough = experiment_.running() ? looks_in_a_row : 1; // else the second look is under way
    sight.sure = outcome_->sure >= enough && outcome_->parted;
    sight.workers = static_cast<unsigned>(lives_.size());
    sight.requests = requests_;
    sight.intervals = seen_;
    if (experiment_.running()) sight.p99_risen = steering.stats(how.slower).risen;
    const Change change = experiment_.look(now, how, sight, random_());
    const bool turned = std::exchange(observed_, observed) != observed;
    if (change == Change::none && experiment_.running() && turned) steer();
    if (change == Change::none) return {};
    if (change == Change::began) steering.begin();
    if (change == Change::ended) {
        steering.end();
        ++ended_[experiment_.ended()];
        return "the experiment ended after " + std::to_string(experiment_.requests()) +
               " requests: " + std::string(to_string(experiment_.ended()));
    }
    steer();
    return change == Change::began ? "an experiment began: which workers get which routes is varied" : std::string{};
}

void LeakRoutes::steer() {
    if (observed_)
        pool_.steering().pause();
    else if (experiment_.salt() == 0)
        pool_.steering().control();
    else
        vary();
}

void LeakRoutes::vary() {
    std::vector<WorkerKey> workers;
    for (const auto& [worker, life] : lives_) workers.push_back(worker);
    const auto lots =
        leak::draw_lots(experiment_.salt(), pool_.route_counts().names().size(), outcome_->open, workers.size());
    std::vector<WorkerKey> homes;
    for (const std::size_t worker : lots.homes) homes.push_back(workers[worker]);
    pool_.set_homes(homes);
    pool_.steering().vary(lots.home);
}

std::optional<ExperimentView> LeakRoutes::experiment_view(const config::Leak& settings) const {
    if (experiment_.epochs() == 0) return std::nullopt;
    const net::Steering::Stats stats = pool_.steering().stats(settings.experiment_slowdown);
    ExperimentView view;
    view.state = experiment_.running() ? "running" : to_string(experiment_.ended());
    view.epochs = experiment_.epochs();
    view.requests = experiment_.requests();
    view.budget = settings.experiment_budget;
    view.varied = stats.varied;
    view.varied_p99 = stats.varied_p99;
    view.control_p99 = stats.control_p99;
    for (const auto& [how, count] : ended_) view.ended.emplace_back(to_string(how), count);
    return view;
}

void LeakRoutes::forget() {
    intervals_.clear();
    looked_ = 0;
    outcome_ = std::make_shared<Outcome>(); // a look under way tells the old one
}

void LeakRoutes::withdraw() {
    if (!outcome_->routes.empty()) outcome_ = std::make_shared<Outcome>();
}

bool LeakRoutes::news() { return std::exchange(outcome_->fresh, false); }

} // namespace plimsoll::fleet
