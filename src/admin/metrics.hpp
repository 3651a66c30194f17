// The metrics, made anew at each scrape from what the parts show of themselves: nothing is counted twice. Label sets are
// bounded by the configuration: pools, places of workers, route labels, reasons.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "admin/self.hpp"
#include "fleet/agent_server.hpp"
#include "fleet/view.hpp"
#include "net/server.hpp"
#include "store/incident_store.hpp"

namespace plimsoll::admin {

struct Snapshot {
    std::string version;
    std::chrono::system_clock::time_point now, started_at;
    std::vector<fleet::PoolView> pools;
    std::optional<net::ServerStats> traffic;
    std::optional<fleet::AgentServer::Stats> agents;
    std::vector<store::IncidentStore::Opened> incidents;
    std::optional<std::uint64_t> incidents_kept; // unset: there is no store
    std::uint64_t incidents_forgotten = 0;
    bool store_works = true;
    std::uint64_t log_dropped = 0, trace_dropped = 0, admin_connections = 0, events_missed = 0;
    Self self;
};
std::string metrics_text(const Snapshot& snapshot); // Prometheus text format

} // namespace plimsoll::admin
