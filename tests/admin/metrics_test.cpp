#include "admin/metrics.hpp"

#include <regex>
#include <set>
#include <sstream>

#include "admin/harness.hpp"
#include "log/log.hpp"

namespace plimsoll::admin {
namespace {

using metrics_page = AdminTest;

Snapshot some_snapshot() {
    Snapshot snapshot;
    snapshot.version = "1.2.3";
    snapshot.pools = {some_pool()};
    snapshot.now = *snapshot.pools[0].workers[0].memory.taken_at + std::chrono::milliseconds{250};
    snapshot.traffic.emplace();
    net::RouteStats route{.pool = "app", .route = "GET /users/{id}", .by_class = {2, 0, 90, 0, 5, 3}, .seconds = {}};
    route.seconds.counts[0] = 60;
    route.seconds.counts[4] = 30;
    route.seconds.counts[14] = 10;
    route.seconds.count = 99; // a scrape in the middle of an update
    route.seconds.sum_seconds = 12.5;
    route.request_bytes = 1000;
    route.response_bytes = 2000;
    snapshot.traffic->routes = {route};
    net::QueueStats queue{.pool = "app", .seconds = {}, .left = 13};
    queue.seconds[1].counts[2] = 4;
    queue.seconds[1].counts[9] = 2;
    queue.seconds[1].sum_seconds = 1.75;
    snapshot.traffic->queues = {queue};
    net::GateStats gate;
    gate.pool = "app";
    gate.queued = {0, 14, 3};
    snapshot.traffic->gates = {gate};
    snapshot.traffic->refusals = {{"app", "memory", "enforce", 3}, {"app", "memory", "shadow", 8}};
    snapshot.traffic->limits = {{"app", "/login", "client", 5, 6, 7, {}}};
    auto& redis = snapshot.traffic->redis.emplace();
    redis.breaker = "tripped";
    redis.trips = 3;
    redis.connections = 1;
    redis.results = {40, 5, 0, 0, 0, 700};
    redis.latency = {30, 8, 2};
    redis.latency_sum = 0.004;
    snapshot.traffic->loop_lag_seconds = 0.002;
    snapshot.traffic->connections_evicted = 13;
    snapshot.traffic->accept_pauses = 14;
    snapshot.traffic->buffered_limit = 1'000;
    snapshot.traffic->buffered_file_bytes = 200;
    snapshot.traffic->buffered_file_limit = 2'000;
    snapshot.agents = {.connected = 4, .accepted = 9, .refused = 1, .over_capacity = 2, .faults = 3, .too_slow = 5};
    snapshot.incidents = {{"app", "soft_limit", 4}};
    snapshot.incidents_kept = 9;
    snapshot.self = {50_MiB, 20, 1024, 6, 1.5};
    snapshot.log_dropped = 11;
    snapshot.trace_dropped = 12;
    return snapshot;
}

bool has_line(const std::string& page, const std::string& line) {
    return ("\n" + page).find("\n" + line + "\n") != std::string::npos;
}

TEST(metrics, say_what_the_parts_know) {
    const auto page = metrics_text(some_snapshot());
    for (const auto line : {
             R"(plimsoll_build_info{version="1.2.3"} 1)",
             "plimsoll_connections_evicted_total 13",
             "plimsoll_accept_pauses_total 14",
             "plimsoll_buffered_limit_bytes 1000",
             "plimsoll_buffered_file_bytes 200",
             "plimsoll_buffered_file_limit_bytes 2000",
             R"(plimsoll_requests_total{pool="app",route="GET /users/{id}",code="2xx"} 90)",
             R"(plimsoll_requests_total{pool="app",route="GET /users/{id}",code="aborted"} 2)",
             R"(plimsoll_request_duration_seconds_bucket{pool="app",route="GET /users/{id}",le="0.001"} 60)",
             R"(plimsoll_request_duration_seconds_bucket{pool="app",route="GET /users/{id}",le="60"} 90)",
             R"(plimsoll_request_duration_seconds_bucket{pool="app",route="GET /users/{id}",le="+Inf"} 100)",
             R"(plimsoll_request_duration_seconds_count{pool="app",route="GET /users/{id}"} 100)",
             R"(plimsoll_request_duration_seconds_sum{pool="app",route="GET /users/{id}"} 12.5)",
             R"(plimsoll_refusals_total{pool="app",reason="memory",mode="shadow"} 8)",
             R"(plimsoll_limit_requests_total{pool="app",route="/login",limit="client",verdict="refused"} 6)",
             R"(plimsoll_redis_requests_total{result="ok"} 40)",
             R"(plimsoll_redis_requests_total{result="skipped"} 700)",
             R"(plimsoll_redis_request_duration_seconds_bucket{le="0.0001"} 30)",
             R"(plimsoll_redis_request_duration_seconds_bucket{le="+Inf"} 40)",
             R"(plimsoll_redis_request_duration_seconds_sum 0.004)",
             R"(plimsoll_redis_breaker_state{state="tripped"} 1)",
             R"(plimsoll_redis_breaker_trips_total 3)",
             R"(plimsoll_redis_connections 1)",
             R"(plimsoll_pool_queued{pool="app",priority="critical"} 0)",
             R"(plimsoll_pool_queued{pool="app",priority="normal"} 14)",
             R"(plimsoll_pool_queued{pool="app",priority="sheddable"} 3)",
             R"(plimsoll_pool_queue_seconds_bucket{pool="app",priority="normal",le="0.005"} 4)",
             R"(plimsoll_pool_queue_seconds_bucket{pool="app",priority="normal",le="+Inf"} 6)",
             R"(plimsoll_pool_queue_seconds_sum{pool="app",priority="normal"} 1.75)",
             R"(plimsoll_pool_queue_seconds_count{pool="app",priority="sheddable"} 0)",
             R"(plimsoll_pool_queue_left_total{pool="app"} 13)",
             R"(plimsoll_pool_alert{pool="app"} 0)",
             R"(plimsoll_agents_connected 4)",
             R"(plimsoll_agent_connections_total{result="accepted"} 9)",
             R"(plimsoll_agent_connections_total{result="over_capacity"} 2)",
             R"(plimsoll_agent_connections_total{result="too_slow"} 5)",
             R"(plimsoll_recycles_total{pool="app",outcome="ok"} 7)",
             R"(plimsoll_recycles_total{pool="app",outcome="failed"} 1)",
             R"(plimsoll_captures_total{pool="app",outcome="failed"} 0)",
             R"(plimsoll_worker_deaths_total{pool="app"} 2)",
             R"(plimsoll_worker_state{pool="app",worker="app-1",state="serving"} 1)",
             R"(plimsoll_worker_memory_bytes{pool="app",worker="app-1",kind="anon"} 209715200)",
             R"(plimsoll_worker_memory_limit_bytes{pool="app",worker="app-1"} 536870912)",
             R"(plimsoll_worker_memory_age_seconds{pool="app",worker="app-1"} 0.25)",
             R"(plimsoll_worker_generation{pool="app",worker="app-1"} 3)",
             R"(plimsoll_incidents_total{pool="app",trigger="soft_limit"} 4)",
             R"(plimsoll_incidents_kept 9)",
             R"(plimsoll_log_dropped_total 11)",
             R"(plimsoll_trace_dropped_total 12)",
             R"(plimsoll_process_resident_memory_bytes 52428800)",
             R"(plimsoll_process_cpu_seconds_total 1.5)",
             R"(plimsoll_loop_lag_seconds 0.002)",
         })
        EXPECT_TRUE(has_line(page, line)) << line << "\n" << page;
}

TEST(metrics, an_unknown_number_has_no_line) {
    const auto page = metrics_text(some_snapshot());
    EXPECT_EQ(page.find(R"(plimsoll_worker_memory_bytes{pool="app",worker="app-2")"), std::string::npos);
    EXPECT_EQ(page.find(R"(plimsoll_worker_memory_limit_bytes{pool="app",worker="app-2")"), std::string::npos);
    EXPECT_EQ(page.find(R"(plimsoll_worker_memory_pressure_ratio{pool="app",worker="app-2")"), std::string::npos);
    Snapshot without_store = some_snapshot();
    without_store.incidents_kept.reset();
    EXPECT_EQ(metrics_text(without_store).find("plimsoll_incidents_kept"), std::string::npos);
}

TEST(metrics, every_line_is_well_formed_named_by_the_rules_and_there_once) {
    std::set<std::string> seen;
    std::map<std::string, std::string> types;
    std::istringstream lines(metrics_text(some_snapshot()));
    const std::regex sample(R"re((plimsoll_[a-z_]+)(\{([a-z]+="([^"\\\n]|\\.)*",?)*\})? [-+0-9.eInfNa]+)re");
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("# TYPE ")) {
            std::istringstream words(line.substr(7));
            std::string name, type;
            words >> name >> type;
            EXPECT_TRUE(types.emplace(name, type).second) << "family twice: " << name;
            EXPECT_EQ(name.ends_with("_total"), type == "counter") << name;
        }
        if (line.starts_with("#")) continue;
        std::smatch parts;
        ASSERT_TRUE(std::regex_match(line, parts, sample)) << line;
        EXPECT_TRUE(seen.insert(parts[1].str() + parts[2].str()).second) << "sample twice: " << line;
    }
    EXPECT_GT(seen.size(), 60U);
}

TEST(metrics, hostile_labels_are_escaped) {
    auto snapshot = some_snapshot();
    snapshot.traffic->routes[0].route = "a\"b\\c\nd";
    EXPECT_NE(metrics_text(snapshot).find(R"(route="a\"b\\c\nd")"), std::string::npos);
}

TEST_F(metrics_page, counts_the_lines_of_the_access_log_that_the_disk_did_not_take) {
    config::Log settings;
    settings.file = "/dev/full";
    log::start(settings);
    const auto before = log::dropped();
    std::string block = "three\nlines\nhere\n";
    log::hand_over(block, 3);
    log::stop(); // all that it had was tried
    start();
    EXPECT_TRUE(has_line(get("/metrics").body, "plimsoll_log_dropped_total " + std::to_string(before + 3)));
}

TEST_F(metrics_page, is_served_with_the_numbers_of_this_process) {
    store_->open("app", "w", 1, "death", "");
    start();
    const auto reply = get("/metrics");
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.fields.at("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    EXPECT_TRUE(has_line(reply.body, R"(plimsoll_incidents_total{pool="app",trigger="death"} 1)"));
    EXPECT_TRUE(has_line(reply.body, "plimsoll_incidents_kept 1"));
    EXPECT_TRUE(has_line(reply.body, "plimsoll_store_works 1"));
    EXPECT_TRUE(has_line(reply.body, "plimsoll_admin_connections 1"));
    for (const auto own : {"resident_memory_bytes", "cpu_seconds_total", "open_fds", "max_fds", "threads"})
        EXPECT_TRUE(
            std::regex_search(reply.body, std::regex("\nplimsoll_process_" + std::string(own) + " [0-9.e+]*[1-9]")))
            << own;
}

} // namespace
} // namespace plimsoll::admin
