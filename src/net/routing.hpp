// Which route a request takes: an immutable snapshot, made from a configuration and swapped whole.
// What a route matches is told in route_rule.hpp, how the first match is found in route_index.hpp.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/access_log.hpp"
#include "net/http/forwarded.hpp"
#include "net/http/head_writer.hpp"
#include "net/limits.hpp"
#include "net/redis/settings.hpp"
#include "net/route_actions.hpp"
#include "net/route_index.hpp"
#include "net/stats.hpp"
#include "plimsoll/core/keyed_hash.hpp"

namespace plimsoll::net {

struct Target { // a pool, as routes point to it
    std::string_view name;
    std::shared_ptr<Pool> pool; // null: the configuration names it, but nobody made it
    config::Upstream upstream;
    QueueSeries* queue = nullptr;
    std::unique_ptr<LimitLabels> traced; // what its application calls requests; null: no trace
};

struct Route {
    config::Route rule;
    const Target* target = nullptr;
    std::string label;
    Series* series = nullptr;
    std::vector<RouteLimit> limits;              // those that are not off
    LimitLabels* limit_labels = nullptr;         // null: none of them counts by label
    std::unique_ptr<const RouteActions> actions; // null: it only chooses a pool
    std::shared_ptr<const Closed> closed;        // in maintenance; null: open
    RouteKey key = 0;                            // its pool's name for the label
    bool has_page() const { return actions && actions->page; }
};

// Everything of the configuration that a request may need.
class Snapshot {
public:
    // `listeners` are those that are bound, in that order: a listener that the configuration no longer has keeps its old settings.
    Snapshot(const config::Config& config, const Pools& pools, Registry& registry, Limits& limits,
             std::vector<config::Listener> listeners, std::shared_ptr<const redis::Settings> redis_settings,
             std::uint64_t generation);
    Snapshot(const Snapshot&) = delete;

    const Route* find(const RouteQuery& query) const; // null: none

    const std::uint64_t generation;
    const std::vector<config::Listener> listeners;
    const unsigned max_connections, max_connections_per_client;
    const std::size_t buffer_memory, buffer_files, body_memory;
    const std::uint64_t response_file;
    const AccessFormat access;
    const std::optional<HashKey> trace;      // each request gets a line in it, with its client hashed by this
    const std::string via;                   // our name in Via; empty: we are not in it
    const std::string_view via_to_clients;   // likewise
    const std::optional<double> trace_share; // of the traces that we begin; none: we begin none
    const http::ServerField server;
    const std::string deadline_header, priority_header;
    const std::shared_ptr<const redis::Settings> redis_settings; // null: no limit is shared
    const std::vector<std::unique_ptr<Target>>& targets() const { return targets_; }
    const http::TrustedProxies& trusted() const { return trusted_; }
    const http::TrustedFields& trusted_fields() const { return trusted_fields_; }
    const http::OwnClaims& claims() const { return claims_; } // of trusted proxies
    Series& unrouted() const { return *unrouted_; }
    Registry& registry() const { return registry_; }

private:
    std::vector<std::unique_ptr<Target>> targets_;
    std::vector<Route> routes_;
    RouteIndex index_;
    http::TrustedProxies trusted_;
    http::TrustedFields trusted_fields_;
    http::OwnClaims claims_;
    Series* unrouted_;
    Registry& registry_;
};

} // namespace plimsoll::net
