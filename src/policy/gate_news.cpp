#include "plimsoll/policy/gate_news.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_set>
#include <utility>

namespace plimsoll {

namespace {

using What = GateNews::What;

std::string percent(double share) { return std::to_string(std::lround(share * 100)) + " %"; }

bool is_on(What what, const Gate::Stats& stats) {
    switch (what) {
    case What::overload: return stats.overloaded;
    case What::memory_shedding: return stats.memory_shedding;
    case What::shedding_futile: return stats.shedding_futile;
    case What::stall_shedding: return stats.stall_shedding;
    case What::health_panic: return stats.health_panic;
    case What::worker_breaker:
    case What::route_breaker: break;
    }
    return false;
}

double level(What what, const Gate::Stats& stats) {
    if (what == What::memory_shedding || what == What::shedding_futile) return stats.memory_pressure;
    return what == What::stall_shedding ? stats.stall : -1;
}

std::string_view whose(PressureOf cause) {
    switch (cause) {
    case PressureOf::cgroup: return "of the workers' cgroup";
    case PressureOf::host: return "of the host";
    case PressureOf::worker: return "of the worker with the most room";
    case PressureOf::unknown: break;
    }
    return "of the workers";
}

std::string why_began(What what, const Gate::Stats& stats) {
    const auto waiting = std::accumulate(std::begin(stats.queued), std::end(stats.queued), std::size_t{0});
    const auto memory = [&] {
        return "the memory " + std::string(whose(stats.memory_cause)) + " is at " + percent(stats.memory_pressure);
    };
    switch (what) {
    case What::overload:
        return "more is asked than the workers can do: each slot serves one in " +
               std::to_string(std::lround(to_seconds(stats.service_time) * 1000)) + " ms" +
               (waiting > 0 ? ", and " + std::to_string(waiting) + " wait" : "");
    case What::memory_shedding: return memory();
    case What::shedding_futile: return "refusing requests did not lower it, so everybody is served: " + memory();
    case What::stall_shedding:
        return "all tasks stood still for want of memory for " + percent(stats.stall) + " of the time";
    case What::health_panic: {
        const auto ailing = std::ranges::count_if(stats.workers, [](const auto& each) { return each.ailing; });
        return "the checks of " + std::to_string(ailing) + " of " + std::to_string(stats.workers.size()) +
               " workers fail, so they are believed no longer and all are served";
    }
    case What::worker_breaker: return "its requests fail more than those of the others";
    case What::route_breaker: return "its requests fail wherever they go";
    }
    return {};
}

std::string why_ended(What what, double most, const Gate::Stats& stats) {
    const std::string at_most = most < 0 ? "" : "; at most " + percent(most);
    switch (what) {
    case What::overload: return "nobody had to be refused any more";
    case What::memory_shedding:
        return (stats.shedding_futile ? "it did not help" : "memory is below the line again") + at_most;
    case What::shedding_futile:
        return (stats.memory_shedding ? "memory has grown again, and it sheds again"
                                      : "memory is below the line again") +
               at_most;
    case What::stall_shedding: return "tasks get on again" + at_most;
    case What::health_panic: return "the checks are believed again";
    case What::worker_breaker:
    case What::route_breaker: return "it passes again";
    }
    return {};
}

bool troubled(const Gate::BreakerStats& breaker, std::uint64_t trips_before) {
    return breaker.state != Breaker::State::passing || breaker.trips > trips_before;
}

} // namespace

std::string_view to_string(GateNews::What what) {
    switch (what) {
    case What::overload: return "overload";
    case What::memory_shedding: return "memory_shedding";
    case What::shedding_futile: return "shedding_futile";
    case What::stall_shedding: return "stall_shedding";
    case What::health_panic: return "health_panic";
    case What::worker_breaker: return "worker_breaker";
    case What::route_breaker: return "route_breaker";
    }
    return "?";
}

GateReporter::Counts GateReporter::counts(What what, const Gate::Stats& stats) {
    const auto of = [&](auto... reasons) {
        return Counts{(stats.refused[index(reasons)] + ...), (stats.shadow_refused[index(reasons)] + ...)};
    };
    switch (what) {
    case What::overload: return of(Reason::concurrency, Reason::queue_full, Reason::queue_timeout);
    case What::memory_shedding:
    case What::shedding_futile:
    case What::stall_shedding: return of(Reason::memory);
    case What::health_panic:
        return {std::reduce(std::begin(stats.refused), std::end(stats.refused)),
                std::reduce(std::begin(stats.shadow_refused), std::end(stats.shadow_refused))};
    case What::route_breaker: return of(Reason::breaker);
    case What::worker_breaker: break; // they went to other workers
    }
    return {};
}

std::vector<GateNews> GateReporter::look(Instant now, const Gate::Stats& stats) {
    if (looked_)
        budget_ = std::min<double>(budget_ + to_seconds(now - *looked_) / to_seconds(one_more_every), most_told);
    looked_ = now;
    std::vector<GateNews> news;
    look_at_pool(now, stats, news);
    const std::size_t of_one = news.size();
    look_at_workers(now, stats, news);
    look_at_routes(now, stats, news);
    if (news.size() > of_one) news.back().untold = std::exchange(untold_, 0);
    for (std::size_t what = 0; what < last_.size(); ++what) last_[what] = counts(static_cast<What>(what), stats);
    return news;
}

GateNews GateReporter::ended(Story& story, What what) {
    GateNews news;
    news.what = what;
    news.began = false;
    news.lasted = story.episode.lasted();
    news.times = story.episode.times();
    news.refused = story.at_end.refused - story.at_begin.refused;
    news.shadow_refused = story.at_end.shadow_refused - story.at_begin.shadow_refused;
    return news;
}

std::optional<GateNews> GateReporter::look_at(Story& story, What what, bool on, Instant now, const Gate::Stats& stats) {
    const auto turned = story.episode.look(now, on);
    if (turned == Episode::News::began) {
        story.at_begin = last_[static_cast<std::size_t>(what)];
        story.most = -1;
    }
    if (on || story.on) story.at_end = counts(what, stats);
    if (on) story.most = std::max(story.most, level(what, stats));
    story.on = on;
    if (turned == Episode::News::none) return std::nullopt;
    GateNews news;
    if (turned == Episode::News::ended) news = ended(story, what);
    news.what = what;
    news.why = news.began ? why_began(what, stats) : why_ended(what, story.most, stats);
    return news;
}

std::optional<GateNews> GateReporter::look_at(Story& story, What what, const Gate::BreakerStats& breaker, Instant now,
                                              const Gate::Stats& stats) {
    const std::uint64_t before = std::exchange(story.trips, breaker.trips);
    auto news = look_at(story, what, troubled(breaker, before), now, stats);
    if (news && news->began) story.trips_at_begin = before;
    if (news && !news->began) news->times = breaker.trips - story.trips_at_begin;
    return news;
}

void GateReporter::look_at_pool(Instant now, const Gate::Stats& stats, std::vector<GateNews>& news) {
    for (std::size_t each = 0; each < of_pool; ++each) {
        const auto what = static_cast<What>(each);
        if (auto told = look_at(pool_[each], what, is_on(what, stats), now, stats)) news.push_back(std::move(*told));
    }
}

void GateReporter::look_at_workers(Instant now, const Gate::Stats& stats, std::vector<GateNews>& news) {
    std::unordered_set<WorkerKey> here;
    for (const Gate::WorkerStats& worker : stats.workers) {
        const auto known = workers_.find(worker.worker);
        if (known == workers_.end() && !troubled(worker.breaker, 0)) continue;
        here.insert(worker.worker);
        Story& story = known == workers_.end() ? workers_[worker.worker] : known->second;
        auto told = look_at(story, What::worker_breaker, worker.breaker, now, stats);
        if (!told) continue;
        told->worker = worker.worker;
        tell_one_of_many(story, std::move(*told), news);
    }
    for (auto at = workers_.begin(); at != workers_.end();) {
        Story& story = at->second;
        if (here.contains(at->first)) {
            ++at;
            continue;
        }
        if (story.episode.close(now) == Episode::News::ended) {
            GateNews told = ended(story, What::worker_breaker);
            told.worker = at->first;
            told.times = story.trips - story.trips_at_begin;
            told.gone = true;
            told.why = "the worker has gone";
            tell_one_of_many(story, std::move(told), news);
        }
        at = workers_.erase(at);
    }
}

void GateReporter::look_at_routes(Instant now, const Gate::Stats& stats, std::vector<GateNews>& news) {
    if (routes_.size() < stats.routes.size()) routes_.resize(stats.routes.size());
    for (std::size_t each = 0; each < stats.routes.size(); ++each) {
        auto told = look_at(routes_[each], What::route_breaker, stats.routes[each], now, stats);
        if (!told) continue;
        told->route = static_cast<RouteKey>(each);
        tell_one_of_many(routes_[each], std::move(*told), news);
    }
}

void GateReporter::tell_one_of_many(Story& story, GateNews told, std::vector<GateNews>& news) {
    if (!told.began) {
        if (std::exchange(story.told, false)) news.push_back(std::move(told));
        return;
    }
    story.told = budget_ >= 1;
    if (!story.told) {
        ++untold_;
        return;
    }
    budget_ -= 1;
    news.push_back(std::move(told));
}

} // namespace plimsoll
