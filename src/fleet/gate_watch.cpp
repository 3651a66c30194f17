#include "fleet/gate_watch.hpp"

#include "log/log.hpp"

namespace plimsoll::fleet {

namespace {

Mode mode_of(GateNews::What what, const config::Pool& settings) {
    switch (what) {
    case GateNews::What::overload: return settings.queue.mode;
    case GateNews::What::memory_shedding:
    case GateNews::What::shedding_futile:
    case GateNews::What::stall_shedding: return settings.memory.mode;
    case GateNews::What::health_panic: return settings.health.mode;
    case GateNews::What::worker_breaker: return settings.breaker.mode;
    case GateNews::What::route_breaker: return settings.breaker.routes;
    }
    return Mode::enforce;
}

std::string_view key_of_subject(GateNews::What what) {
    if (what == GateNews::What::worker_breaker) return "worker";
    return what == GateNews::What::route_breaker ? "route" : "";
}

} // namespace

void GateWatch::look(Instant now, const config::Pool& settings) {
    for (const GateNews& news : reporter_.look(now, net_->stats())) tell(news, settings);
}

std::string GateWatch::subject(const GateNews& news) {
    if (news.what == GateNews::What::route_breaker) {
        const auto labels = net_->route_labels();
        const auto found = labels.find(news.route);
        return found == labels.end() ? "" : found->second;
    }
    if (news.what != GateNews::What::worker_breaker) return {};
    if (news.began) return tripped_[news.worker] = name_of_(news.worker);
    const auto node = tripped_.extract(news.worker);
    return node ? node.mapped() : name_of_(news.worker);
}

void GateWatch::tell(const GateNews& news, const config::Pool& settings) {
    const Mode mode = mode_of(news.what, settings);
    // Of a policy in shadow nobody feels anything.
    const auto level = news.began && mode == Mode::enforce ? config::LogLevel::warn : config::LogLevel::info;
    const std::string what(to_string(news.what)), state = news.began ? "began" : "ended", about = subject(news);
    const std::string_view key = key_of_subject(news.what);
    const std::int64_t took_ms = std::chrono::duration_cast<std::chrono::milliseconds>(news.lasted).count();
    const std::uint64_t refused = mode == Mode::shadow ? news.shadow_refused : news.refused;

    const std::string event = what + "_" + state;
    const log::Field pool{"pool", settings.name}, why{"why", news.why}, in_mode{"mode", config::to_string(mode)};
    const log::Field who{key, about}, untold{"untold", news.untold};
    const log::Field took{"took_ms", took_ms}, times{"times", news.times}, refusals{"refused", refused};
    if (key.empty() && news.began)
        log::write(level, event, {pool, why, in_mode});
    else if (key.empty())
        log::write(level, event, {pool, why, took, times, refusals, in_mode});
    else if (news.began)
        log::write(level, event, {pool, who, why, untold, in_mode});
    else
        log::write(level, event, {pool, who, why, took, times, refusals, untold, in_mode});

    boost::json::object facts{{"pool", settings.name},
                              {"what", what},
                              {"state", state},
                              {"why", news.why},
                              {"mode", config::to_string(mode)}};
    if (!key.empty()) {
        facts[key] = about;
        facts["untold"] = news.untold;
    }
    if (!news.began) {
        facts["took_ms"] = took_ms;
        facts["times"] = news.times;
        facts["refused"] = refused;
    }
    publish_("gate", std::move(facts));
}

} // namespace plimsoll::fleet
