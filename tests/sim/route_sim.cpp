#include "sim/route_sim.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <queue>
#include <random>

#include "plimsoll/core/tail_comparison.hpp"
#include "plimsoll/leak/attribution.hpp"
#include "plimsoll/leak/experiment.hpp"
#include "plimsoll/policy/gate.hpp"

namespace plimsoll::sim {

namespace {

constexpr double kib = 1024;
constexpr std::uint64_t suspicion = 3000; // requests of a worker
constexpr std::size_t ring = 800;
constexpr double least_growth = 300; // bytes a request, over all: less is no leak that anybody would suspect

class Draw {
public:
    explicit Draw(std::uint64_t seed) : random_(seed) {}
    double uniform(double low = 0, double high = 1) { return std::uniform_real_distribution<>(low, high)(random_); }
    double log_uniform(double low, double high) { return std::exp(uniform(std::log(low), std::log(high))); }
    double normal() { return std::normal_distribution<>()(random_); }
    double exponential(double mean) { return std::exponential_distribution<>(1 / mean)(random_); }
    std::size_t index(std::size_t count) { return std::uniform_int_distribution<std::size_t>(0, count - 1)(random_); }
    std::uint64_t bits() { return random_(); }
    std::mt19937_64& engine() { return random_; }

private:
    std::mt19937_64 random_;
};

std::vector<double> asked_share(const RouteApp& app) {
    std::vector<double> share(app.routes.size());
    double sum = 0;
    for (const auto& page : app.pages)
        for (const std::size_t route : page.routes) {
            share[route] += page.weight;
            sum += page.weight;
        }
    for (double& each : share) each /= sum;
    return share;
}

// The gate and its workers on a virtual clock, as in fleet_sim.hpp, but with memory that is read.
class Server {
public:
    Server(const RouteApp& app, std::uint64_t seed, const RouteTraffic& traffic)
        : app_(app), draw_(seed), traffic_(traffic), gate_({}) {
        settings_.on = traffic.experiment;
        settings_.budget = traffic.most_requests;
        double work = 0;
        const auto share = asked_share(app);
        for (std::size_t r = 0; r < share.size(); ++r) work += share[r] * app.routes[r].service;
        double pages = 0, routes = 0;
        for (const auto& page : app.pages) {
            pages += page.weight;
            routes += page.weight * static_cast<double>(page.routes.size());
        }
        page_gap_ = work / (app.load * app.workers * app.slots) * routes / pages;
        for (unsigned w = 0; w < app.workers; ++w) {
            workers_.emplace_back();
            gate_.add(w + 1, app.slots, now());
            Gate::Events events;
            gate_.accept(w + 1, true, now(), events);
        }
    }

    RouteRun run() {
        after(draw_.exponential(page_gap_), [this] { page(); });
        after(0.5, [this] { read(); });
        while (!over_) {
            const Event event = events_.top();
            events_.pop();
            clock_ = event.at;
            event.what();
        }
        finish();
        return run_;
    }

private:
    struct Event {
        double at;
        std::uint64_t sequence;
        std::function<void()> what;
        bool operator<(const Event& other) const {
            return std::pair(at, sequence) > std::pair(other.at, other.sequence);
        }
    };
    struct Worker {
        double kept = 0, held = 0; // bytes
        std::uint64_t requests = 0, read_requests = 0;
        double read_used = 0;
        std::map<std::size_t, double> caches; // entries in them
        std::vector<double> counts, read_counts;
    };
    struct Request {
        std::size_t route;
        double arrived;
        Side side;
    };

    Instant now() const {
        return Instant{} + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(clock_ + 1));
    }
    void after(double delay, std::function<void()> what) {
        events_.push({clock_ + delay, ++sequence_, std::move(what)});
    }

    void page() {
        const double tide = 1 + 0.5 * app_.swing * std::sin(2 * M_PI * clock_ / app_.day);
        after(draw_.exponential(page_gap_ / tide), [this] { page(); });
        std::vector<double> weights;
        for (const auto& page : app_.pages)
            weights.push_back(page.weight * (1 + app_.swing * std::sin(2 * M_PI * (clock_ / app_.day + page.phase))));
        const auto which = std::discrete_distribution<std::size_t>(weights.begin(), weights.end())(draw_.engine());
        double delay = 0;
        for (const std::size_t route : app_.pages[which].routes) {
            after(delay, [this, route] { arrive(route); });
            delay += draw_.exponential(0.02);
        }
    }

    void arrive(std::size_t route) {
        Request request{route, clock_, Side::any};
        if (experiment_.salt() != 0) request.side = lots_.home[route + 1] ? Side::home : Side::away;
        Gate::Events events;
        const auto arrival = gate_.arrive(now(), {.draw = draw_.uniform(), .side = request.side}, events);
        if (arrival.kind == Gate::Arrival::Kind::admitted) serve(arrival.worker, request);
        if (arrival.kind == Gate::Arrival::Kind::queued) waiting_.emplace(arrival.ticket, request);
        deliver(events);
    }

    void deliver(const Gate::Events& events) {
        for (const auto& event : events) {
            const auto found = waiting_.extract(event.ticket);
            if (event.granted && !found.empty()) serve(*event.granted, found.mapped());
        }
    }

    void serve(WorkerKey key, const Request& request) {
        const auto& route = app_.routes[request.route];
        const double hold = route.hold * draw_.exponential(1);
        workers_[key - 1].held += hold;
        const bool at_home = std::ranges::find(lots_.homes, key - 1) != lots_.homes.end();
        if (request.side == Side::home) ++homeward_, homes_ += at_home ? 1 : 0;
        if (request.side == Side::away) ++outward_, strays_ += at_home ? 1 : 0;
        after(0.3 * route.service + draw_.exponential(0.7 * route.service), [this, key, request, hold] {
            Worker& worker = workers_[key - 1];
            worker.held -= hold;
            keep(worker, request.route);
            if (suspected()) {
                if (experiment_.running())
                    latency_.record(request.side != Side::any, from_seconds(clock_ - request.arrived));
                times_.push_back(clock_ - request.arrived);
            }
            Gate::Events events;
            Gate::Departure departure(Outcome::success);
            departure.took = from_seconds(0.01);
            gate_.depart(now(), key, departure, events);
            deliver(events);
        });
    }

    void keep(Worker& worker, std::size_t index) {
        const auto& route = app_.routes[index];
        worker.counts.resize(app_.routes.size() + 1);
        ++worker.counts[index + 1];
        ++worker.requests;
        ++requests_;
        worker.kept += route.leak;
        if (route.cache > 0 && draw_.uniform() > worker.caches[index] / route.capacity) {
            ++worker.caches[index];
            worker.kept += route.cache;
        }
        if (draw_.uniform() < app_.jumps) worker.kept += app_.jump * draw_.normal();
    }

    bool suspected() const { return began_ > 0; }

    void read() {
        after(0.5, [this] { read(); });
        for (std::uint32_t w = 0; w < workers_.size(); ++w) {
            Worker& worker = workers_[w];
            if (worker.requests - worker.read_requests < (worker.held > 0 ? 200 : 50)) continue;
            worker.counts.resize(app_.routes.size() + 1);
            worker.read_counts.resize(app_.routes.size() + 1);
            const double used = std::floor((worker.kept + worker.held) / 4096) * 4096;
            leak::Interval interval{
                w, static_cast<double>(worker.read_requests), used - worker.read_used, {}, worker.held > 0};
            for (std::size_t r = 0; r < worker.counts.size(); ++r)
                interval.counts.push_back(worker.counts[r] - worker.read_counts[r]);
            worker.read_requests = worker.requests;
            worker.read_used = used;
            worker.read_counts = worker.counts;
            intervals_.push_back(std::move(interval));
            if (intervals_.size() > ring) intervals_.erase(intervals_.begin());
            ++seen_;
        }
        if (!suspected() && requests_ >= suspicion * app_.workers) began_ = requests_;
        if (suspected()) look();
    }

    void look() {
        if (seen_ >= next_look_) {
            next_look_ = seen_ + std::max<std::size_t>(8, intervals_.size() / 20);
            attribute();
            run_.looks.push_back({static_cast<double>(requests_ - began_), seen_, heaviest(), found_});
            sure_in_a_row_ = leak::sure(found_) ? sure_in_a_row_ + 1 : 0;
            named_in_a_row_ = names_the_right_one() ? named_in_a_row_ + 1 : 0;
            if (named_in_a_row_ == 2 && !run_.named) {
                run_.named = true;
                run_.named_at = static_cast<double>(requests_ - began_);
            }
            const bool answered = sure_in_a_row_ >= 2 && (!traffic_.experiment || leak::parted(found_));
            if (answered && traffic_.stop_when_sure) over_ = run_.decided = true;
        }
        if (static_cast<std::uint64_t>(requests_ - began_) >= traffic_.most_requests) over_ = true;
        leak::Experiment::Sight sight;
        sight.suspected = true;
        sight.sure = run_.decided;
        sight.workers = app_.workers;
        sight.requests = requests_;
        sight.intervals = seen_;
        sight.p99_risen = latency_.risen(settings_.slower);
        const auto change = experiment_.look(now(), settings_, sight, draw_.bits());
        if (change == leak::Experiment::Change::none || experiment_.salt() == 0) return;
        lots_ = leak::draw_lots(experiment_.salt(), app_.routes.size() + 1, found_.open, app_.workers);
        std::vector<WorkerKey> homes;
        for (const std::size_t worker : lots_.homes) homes.push_back(static_cast<WorkerKey>(worker + 1));
        gate_.set_homes(homes);
    }

    void attribute() {
        leak::AttributionSettings settings;
        double oldest = 0;
        for (const auto& each : intervals_) oldest = std::max(oldest, each.age);
        settings.young = std::min(settings.young, oldest / 4);
        found_ = leak::attribute(intervals_, settings, 1);
    }

    // Is the route at the top, and no other, surely the heaviest; and is it?
    bool names_the_right_one() const {
        if (found_.shares.empty() || found_.first < 0.95) return false;
        const auto& top = found_.shares.front();
        if (top.labels.size() != 1 || top.labels.front() == 0) return false;
        const auto grown = growth_by_route();
        return grown[top.labels.front() - 1] >= 0.9 * *std::ranges::max_element(grown);
    }

    std::vector<double> growth_by_route() const {
        std::vector<double> grown(app_.routes.size());
        for (const Worker& worker : workers_)
            for (std::size_t r = 0; r < std::min(grown.size(), worker.counts.size()); ++r)
                grown[r] += worker.counts[r + 1] * app_.routes[r].leak;
        return grown;
    }

    std::size_t heaviest() const { // its label
        const auto grown = growth_by_route();
        return static_cast<std::size_t>(std::ranges::max_element(grown) - grown.begin()) + 1;
    }

    void finish() {
        run_.requests = static_cast<double>(requests_ - began_);
        run_.slower = experiment_.ended() == leak::Experiment::End::slower;
        run_.steered = homes_ / std::max(homeward_, 1.0) - strays_ / std::max(outward_, 1.0);
        std::ranges::sort(times_);
        if (!times_.empty()) run_.p99 = times_[times_.size() * 99 / 100];
        if (!run_.named) run_.named_at = run_.requests;
        const auto grown = growth_by_route();
        const double most = *std::ranges::max_element(grown);
        for (const auto& share : found_.shares) {
            ++run_.names;
            const bool grows = std::ranges::any_of(share.labels, [&](std::size_t label) {
                return label > 0 && (app_.routes[label - 1].leak > 0 || app_.routes[label - 1].cache > 0);
            });
            run_.false_names += grows ? 0 : 1;
        }
        if (found_.shares.empty()) return;
        const auto& top = found_.shares.front();
        if (top.labels.size() != 1 || top.labels.front() == 0) return;
        const std::size_t route = top.labels.front() - 1;
        run_.top_right = grown[route] >= 0.9 * most;
        run_.error = std::abs(top.bytes / std::max(app_.routes[route].leak, 1.0) - 1);
        run_.held = top.low <= app_.routes[route].leak && top.high >= app_.routes[route].leak;
    }

    const RouteApp& app_;
    Draw draw_;
    const RouteTraffic traffic_;
    double page_gap_ = 0, clock_ = 0;
    Gate gate_;
    leak::Experiment experiment_;
    leak::Lots lots_;
    leak::Experiment::Settings settings_;
    TailComparison latency_;
    std::vector<double> times_;
    std::vector<Worker> workers_;
    std::map<Ticket, Request> waiting_;
    std::priority_queue<Event> events_;
    std::uint64_t sequence_ = 0, requests_ = 0, began_ = 0;
    std::vector<leak::Interval> intervals_;
    std::size_t seen_ = 0, next_look_ = 0;
    leak::Attribution found_;
    unsigned sure_in_a_row_ = 0, named_in_a_row_ = 0;
    double homeward_ = 0, homes_ = 0, outward_ = 0, strays_ = 0;
    bool over_ = false;
    RouteRun run_;
};

} // namespace

RouteApp draw_route_app(std::uint64_t seed, bool together, bool threads) {
    Draw draw(seed * 7919 + (together ? 1 : 0));
    RouteApp app;
    app.routes.resize(20 + draw.index(31));
    app.workers = static_cast<unsigned>(2 + draw.index(7));
    app.slots = threads ? 8 : 1;
    app.load = draw.uniform(0.2, 0.8);
    app.swing = draw.uniform(0, 0.8);
    app.day = draw.log_uniform(300, 86400);
    app.jumps = draw.log_uniform(1e-5, 2e-3);
    app.jump = draw.log_uniform(0.1 * mib, 2 * mib);
    const double slow = draw.log_uniform(0.001, 0.04);
    for (auto& route : app.routes) {
        route.service = slow * std::exp(0.7 * draw.normal());
        route.hold = draw.log_uniform(4 * kib, 400 * kib);
        if (draw.uniform() > 0.1) continue;
        route.cache = draw.log_uniform(500, 8 * kib);
        route.capacity = draw.log_uniform(100, 2000);
    }
    std::vector<std::size_t> order(app.routes.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::shuffle(order, draw.engine());
    const double zipf = draw.uniform(0.6, 1.2);
    for (std::size_t at = 0; at < order.size();) {
        RouteApp::Page page;
        const std::size_t size = together ? 2 + draw.index(4) : 1;
        for (std::size_t i = 0; i < size && at < order.size(); ++i) page.routes.push_back(order[at++]);
        page.weight = std::pow(static_cast<double>(app.pages.size() + 1), -zipf);
        page.phase = draw.uniform();
        app.pages.push_back(std::move(page));
    }
    const auto share = asked_share(app);
    double growth = 0;
    while (growth < least_growth) {
        growth = 0;
        for (auto& route : app.routes) route.leak = 0;
        for (std::size_t leaks = 1 + draw.index(5); leaks > 0; --leaks) {
            const std::size_t route = draw.index(app.routes.size());
            app.routes[route].cache = 0; // else nobody could tell which of the two a request's bytes are
            app.routes[route].leak = draw.log_uniform(64, 64 * kib);
        }
        for (std::size_t r = 0; r < share.size(); ++r) growth += share[r] * app.routes[r].leak;
    }
    return app;
}

RouteRun run_routes(const RouteApp& app, std::uint64_t seed, const RouteTraffic& traffic) {
    return Server(app, seed, traffic).run();
}

} // namespace plimsoll::sim
