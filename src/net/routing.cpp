#include "net/routing.hpp"

#include <algorithm>

#include <boost/regex.hpp>

#include "log/log.hpp"
#include "net/http/fields.hpp"
#include "net/io/descriptors.hpp"

namespace plimsoll::net {

struct PathRule::Regex {
    boost::regex compiled;
};

PathRule::PathRule(const std::string& pattern) : text_(pattern) {
    if (pattern.empty() || (pattern[0] != '=' && pattern[0] != '~')) return;
    kind_ = pattern[0] == '=' ? Kind::exact : Kind::regex;
    text_.erase(0, 1);
    if (kind_ == Kind::exact) return;
    try {
        regex_ = std::make_unique<Regex>(Regex{boost::regex(text_, boost::regex::perl | boost::regex::optimize)});
    } catch (const std::exception& error) {
        // The configuration's check comes first; should the two ever disagree, this route takes nothing.
        log::error("route_regex_invalid", {{"path", pattern}, {"error", error.what()}});
    }
}

PathRule::~PathRule() = default;
PathRule::PathRule(PathRule&&) noexcept = default;

bool PathRule::matches(std::string_view path) const {
    switch (kind_) {
    case Kind::prefix: return path.starts_with(text_);
    case Kind::exact: return path == text_;
    case Kind::regex: break;
    }
    if (!regex_) return false;
    try {
        return boost::regex_search(path.begin(), path.end(), regex_->compiled);
    } catch (const std::runtime_error&) {
        return false; // the library's bound on backtracking
    }
}

namespace {

bool host_matches(const std::string& rule, std::string_view host) {
    if (rule.empty()) return true;
    if (!rule.starts_with("*.")) return http::iequals(rule, host);
    const auto suffix = std::string_view(rule).substr(1);
    return host.size() > suffix.size() && http::iequals(host.substr(host.size() - suffix.size()), suffix);
}

bool method_matches(const std::vector<std::string>& methods, std::string_view method) {
    return methods.empty() || std::find(methods.begin(), methods.end(), method) != methods.end();
}

} // namespace

Snapshot::Snapshot(const config::Config& config, const Pools& pools, Registry& registry, Limits& limits,
                   std::vector<config::Listener> bound, std::uint64_t number)
    : generation(number), listeners(std::move(bound)),
      max_connections(std::min(config.proxy.max_connections, io::affordable_clients())),
      max_connections_per_client(config.proxy.max_connections_per_client),
      buffer_memory(static_cast<std::size_t>(config.proxy.buffer_memory.count)),
      buffer_files(static_cast<std::size_t>(config.proxy.buffer_files.count)),
      body_memory(static_cast<std::size_t>(config.proxy.body_memory.count)),
      response_file(static_cast<std::uint64_t>(config.proxy.response_file.count)), access_log(config.log.access),
      access_sample(config.log.access_sample), unrouted_(&registry.series("", "")), registry_(registry) {
    for (const auto& pool : config.pools) {
        const auto found = pools.find(pool.name);
        targets_.push_back(std::make_unique<Target>(
            Target{registry.intern(pool.name), found == pools.end() ? nullptr : found->second, pool.upstream}));
    }
    for (const auto& rule : config.routes) {
        const auto target =
            std::find_if(targets_.begin(), targets_.end(), [&](const auto& each) { return each->name == rule.pool; });
        Route route{rule,
                    PathRule(rule.path),
                    target == targets_.end() ? nullptr : target->get(),
                    rule.label.empty() ? rule.path : rule.label,
                    nullptr,
                    {}};
        route.limits = limits.compile(rule, route.label, config.proxy.rate_keys);
        route.series = &registry.series(rule.pool, route.label);
        routes_.push_back(std::move(route));
    }
    std::string problem;
    if (!trusted_.parse(config.proxy.trusted_proxies, problem))
        log::error("trusted_proxies_invalid", {{"error", problem}});
}

const Route* Snapshot::find(std::string_view host, std::string_view path, std::string_view method) const {
    for (const auto& route : routes_)
        if (route.path.matches(path) && host_matches(route.rule.host, host) &&
            method_matches(route.rule.methods, method))
            return &route;
    return nullptr;
}

} // namespace plimsoll::net
