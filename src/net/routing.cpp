#include "net/routing.hpp"

#include <algorithm>
#include <map>

#include "log/log.hpp"
#include "net/io/descriptors.hpp"
#include "net/random_key.hpp"

namespace plimsoll::net {

namespace {

std::vector<RouteRule> rules_of(const config::Config& config) {
    std::vector<RouteRule> rules;
    rules.reserve(config.routes.size());
    for (const auto& route : config.routes) {
        const auto& rule = rules.emplace_back(route);
        // The configuration's check comes first; should the two ever disagree, this route takes nothing.
        if (!rule.problem().empty())
            log::error("route_regex_invalid", {{"path", route.path}, {"error", rule.problem()}});
    }
    return rules;
}

http::ServerField server_field(const std::string& word) {
    if (word == "remove") return http::ServerField::drop;
    return word == "replace" ? http::ServerField::own : http::ServerField::pass;
}

} // namespace

Snapshot::Snapshot(const config::Config& config, const Pools& pools, Registry& registry, Limits& limits,
                   std::vector<config::Listener> bound, std::shared_ptr<const redis::Settings> shared_in,
                   std::uint64_t number)
    : generation(number), listeners(std::move(bound)),
      max_connections(std::min(config.proxy.max_connections, io::affordable_clients())),
      max_connections_per_client(config.proxy.max_connections_per_client),
      buffer_memory(static_cast<std::size_t>(config.proxy.buffer_memory.count)),
      buffer_files(static_cast<std::size_t>(config.proxy.buffer_files.count)),
      body_memory(static_cast<std::size_t>(config.proxy.body_memory.count)),
      response_file(static_cast<std::uint64_t>(config.proxy.response_file.count)), access(config.log),
      trace(config.log.trace.empty() ? std::nullopt : std::optional(random_key())), via(config.proxy.via),
      via_to_clients(config.proxy.via_to_clients ? std::string_view(via) : std::string_view()),
      trace_share(config.proxy.traceparent == "add" ? std::optional(config.proxy.trace_share) : std::nullopt),
      server(server_field(config.proxy.server)), deadline_header(config.proxy.deadline_header),
      priority_header(config.proxy.priority_header), redis_settings(std::move(shared_in)), index_(rules_of(config)),
      claims_(config.proxy.trusted_proxies_set), unrouted_(&registry.series("", "")), registry_(registry) {
    std::map<std::string_view, std::shared_ptr<const Closed>> closed;
    for (const auto& pool : config.pools) {
        closed[pool.name] = closed_for(pool.maintenance);
        const auto found = pools.find(pool.name);
        targets_.push_back(std::make_unique<Target>(
            Target{registry.intern(pool.name), found == pools.end() ? nullptr : found->second, pool.upstream,
                   &registry.queue(pool.name), trace ? std::make_unique<LimitLabels>() : nullptr}));
    }
    limits.withdraw();
    for (const auto& rule : config.routes) {
        const auto target =
            std::find_if(targets_.begin(), targets_.end(), [&](const auto& each) { return each->name == rule.pool; });
        Route route;
        route.rule = rule;
        if (target != targets_.end()) route.target = target->get();
        route.label = rule.label.empty() ? rule.path : rule.label;
        if (has_actions(rule)) route.actions = std::make_unique<const RouteActions>(rule);
        route.closed = closed_for(rule.maintenance);
        if (!route.closed && !route.has_page()) route.closed = closed[rule.pool];
        if (route.target && route.target->pool) route.key = route.target->pool->route_key(route.label);
        route.limits = limits.compile(rule, route.label, config.proxy.rate_keys);
        const auto by_label = [](const RouteLimit& limit) { return limit.counts_by(RouteLimit::Part::label); };
        if (std::ranges::any_of(route.limits, by_label)) route.limit_labels = &limits.labels_of(rule.pool);
        route.series = &registry.series(rule.pool, route.label);
        routes_.push_back(std::move(route));
    }
    std::string problem;
    if (!trusted_.parse(config.proxy.trusted_proxies, problem))
        log::error("trusted_proxies_invalid", {{"error", problem}});
    trusted_fields_ = http::TrustedFields(config.proxy.trusted_fields);
}

const Route* Snapshot::find(const RouteQuery& query) const {
    const auto number = index_.find(query);
    return number == no_route ? nullptr : &routes_[number];
}

} // namespace plimsoll::net
