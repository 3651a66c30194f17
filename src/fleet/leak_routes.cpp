#include "fleet/leak_routes.hpp"

#include <algorithm>
#include <numeric>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include "plimsoll/leak/route_labels.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t stretch = 50; // requests: fewer are all noise of pages
constexpr std::size_t most_intervals = 800, most_columns = 48;
constexpr Duration look_interval = 20s;
constexpr std::size_t least_news = 8;     // intervals, before it is worth another look
constexpr double most_young = 2000;       // requests
constexpr double young_part = 4;          // of the longest life: where workers do not get old, warm-up is shorter
constexpr std::uint64_t chance = 0x1e4af; // the same intervals give the same answer

void merge(std::vector<double>& counts, std::size_t label) {
    counts[leak::RouteLabels::other] += std::exchange(counts[label], 0);
}

} // namespace

std::vector<RouteShare> routes_of(std::vector<leak::Interval> intervals, const std::vector<std::string>& names) {
    std::vector<double> asked(names.size());
    double oldest = 0;
    for (leak::Interval& each : intervals) {
        each.counts.resize(names.size());
        std::transform(each.counts.begin(), each.counts.end(), asked.begin(), asked.begin(), std::plus<>());
        oldest = std::max(oldest, each.age);
    }
    std::vector<std::size_t> columns(names.size());
    std::iota(columns.begin(), columns.end(), 0);
    std::ranges::stable_sort(columns, std::greater<>(), [&](std::size_t label) { return asked[label]; });
    std::erase_if(columns, [&](std::size_t label) { return label == leak::RouteLabels::other || asked[label] == 0; });
    if (columns.size() > most_columns) columns.resize(most_columns);
    for (leak::Interval& each : intervals) {
        double rest = std::accumulate(each.counts.begin(), each.counts.end(), 0.0);
        std::vector<double> kept;
        for (const std::size_t label : columns) rest -= kept.emplace_back(each.counts[label]);
        kept.push_back(rest);
        each.counts = std::move(kept);
    }
    leak::AttributionSettings settings;
    settings.young = std::min(most_young, oldest / young_part);
    std::vector<RouteShare> routes;
    for (const leak::Share& share : leak::attribute(intervals, settings, chance).shares) {
        RouteShare route{{}, share.bytes, share.low, share.high, share.share};
        for (const std::size_t label : share.labels)
            route.route += (route.route.empty() ? "" : " + ") +
                           (label < columns.size() ? names[columns[label]] : names[leak::RouteLabels::other]);
        if (share.labels.empty()) route.route = "every route"; // all requests leak alike
        routes.push_back(std::move(route));
    }
    return routes;
}

LeakRoutes::LeakRoutes(Context& context, net::Pool& pool) : context_(context), pool_(pool) {}

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

void LeakRoutes::read(WorkerKey worker, std::uint64_t requests, double used) {
    const auto [found, is_new] = lives_.try_emplace(worker);
    Life& life = found->second;
    if (is_new) pool_.route_counts().watch(worker);
    if (!is_new && requests - life.requests < stretch) return;
    const net::RouteCounts::Row row = pool_.route_counts().of(worker);
    hand_over(row.serials);
    if (is_new) {
        life.number = ++last_number_;
    } else {
        leak::Interval interval{
            .worker = life.number, .age = static_cast<double>(life.requests), .growth = used - life.used, .counts = {}};
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
    const bool enough = seen_ >= leak::AttributionSettings{}.least && seen_ - looked_ >= least_news;
    if (!enough || outcome_->busy || (looked_at_ && now - *looked_at_ < look_interval)) return;
    looked_at_ = now;
    looked_ = seen_;
    outcome_->busy = true;
    boost::asio::post(*context_.threads,
                      [outcome = outcome_, intervals = std::vector(intervals_.begin(), intervals_.end()),
                       names = pool_.route_counts().names(), control = context_.control.get_executor()]() mutable {
                          auto routes = routes_of(std::move(intervals), names);
                          boost::asio::post(control, [outcome, routes = std::move(routes)]() mutable {
                              outcome->busy = false;
                              if (routes.empty()) return; // what was known still holds
                              outcome->routes = std::move(routes);
                              outcome->fresh = true;
                          });
                      });
}

bool LeakRoutes::news() { return std::exchange(outcome_->fresh, false); }

} // namespace plimsoll::fleet
