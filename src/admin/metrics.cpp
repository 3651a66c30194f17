#include "admin/metrics.hpp"

#include <cmath>
#include <limits>
#include <span>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace plimsoll::admin {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

std::string name_of_priority(std::size_t index) { return std::string(to_string(static_cast<Priority>(index))); }
constexpr const char* code_classes[] = {"aborted", "1xx", "2xx", "3xx", "4xx", "5xx"};

// One family of metrics after the other; a value that is unknown leaves no line, because a 0 would be a lie.
class Page {
public:
    class Family {
    public:
        explicit Family(MetricFamily& family) : family_(family) {}
        Family& add(Labels labels, double value) {
            ClientMetric metric;
            metric.label = std::move(labels);
            (family_.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
            family_.metric.push_back(std::move(metric));
            return *this;
        }
        template <class Number>
        requires std::is_integral_v<Number> Family& add(Labels labels, Number value) {
            return add(std::move(labels), static_cast<double>(value));
        }
        Family& add(Labels labels, const std::optional<Bytes>& value) {
            return value ? add(std::move(labels), static_cast<double>(value->count)) : *this;
        }
        Family& add(Labels labels, const std::optional<std::uint64_t>& value) {
            return value ? add(std::move(labels), static_cast<double>(*value)) : *this;
        }
        void add(Labels labels, const net::Histogram& histogram) {
            add(std::move(labels), histogram.counts, net::latency_bounds, histogram.sum_seconds);
        }
        // One count more than bounds: what lies beyond the last.
        void add(Labels labels, std::span<const std::uint64_t> counts, std::span<const double> bounds, double sum) {
            ClientMetric metric;
            metric.label = std::move(labels);
            std::uint64_t cumulative = 0;
            for (std::size_t i = 0; i < counts.size(); ++i) {
                cumulative += counts[i];
                metric.histogram.bucket.push_back(
                    {cumulative, i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity()});
            }
            metric.histogram.sample_count = cumulative; // of what is here: a scrape between two writes must add up
            metric.histogram.sample_sum = sum;
            family_.metric.push_back(std::move(metric));
        }

    private:
        MetricFamily& family_;
    };

    Family counter(const char* name, const char* help) { return family(name, help, MetricType::Counter); }
    Family gauge(const char* name, const char* help) { return family(name, help, MetricType::Gauge); }
    Family histogram(const char* name, const char* help) { return family(name, help, MetricType::Histogram); }

    std::string text() {
        std::erase_if(families_, [](const MetricFamily& family) { return family.metric.empty(); });
        return prometheus::TextSerializer().Serialize(families_);
    }

private:
    // A Family is used before the next one is asked for: it points into the vector.
    Family family(const char* name, const char* help, MetricType type) {
        families_.push_back({std::string("plimsoll_") + name, help, type, {}});
        return Family(families_.back());
    }

    std::vector<MetricFamily> families_;
};

void add_traffic(Page& page, const net::ServerStats& traffic) {
    auto requests = page.counter("requests_total", "Requests answered, by route and class of the status code.");
    for (const auto& route : traffic.routes)
        for (std::size_t i = 0; i < route.by_class.size(); ++i)
            if (route.by_class[i] != 0)
                requests.add({{"pool", route.pool}, {"route", route.route}, {"code", code_classes[i]}},
                             route.by_class[i]);
    auto seconds =
        page.histogram("request_duration_seconds", "From the head of a request to the last byte of its answer.");
    for (const auto& route : traffic.routes) seconds.add({{"pool", route.pool}, {"route", route.route}}, route.seconds);
    auto received = page.counter("request_body_bytes_total", "Bytes of request bodies.");
    for (const auto& route : traffic.routes)
        received.add({{"pool", route.pool}, {"route", route.route}}, route.request_bytes);
    auto sent = page.counter("response_body_bytes_total", "Bytes of response bodies.");
    for (const auto& route : traffic.routes)
        sent.add({{"pool", route.pool}, {"route", route.route}}, route.response_bytes);
    auto waits = page.histogram("pool_queue_seconds",
                                "Time in the queue of those who had to wait for a slot, whatever became of them.");
    for (const auto& queue : traffic.queues)
        for (std::size_t i = 0; i < priorities; ++i)
            waits.add({{"pool", queue.pool}, {"priority", name_of_priority(i)}}, queue.seconds[i]);
    auto left = page.counter("pool_queue_left_total", "Requests whose client left while they waited in the queue.");
    for (const auto& queue : traffic.queues) left.add({{"pool", queue.pool}}, queue.left);
    auto refusals =
        page.counter("refusals_total", "Requests refused, by reason; mode shadow: would have been refused.");
    for (const auto& refusal : traffic.refusals)
        refusals.add({{"pool", refusal.pool}, {"reason", refusal.reason}, {"mode", refusal.mode}}, refusal.count);

    auto limits = page.counter("limit_requests_total",
                               "Requests that a limit judged, by verdict: passed, refused; shadow: would have been.");
    for (const auto& limit : traffic.limits) {
        const auto verdict = [&](const char* verdict) {
            return Labels{{"pool", limit.pool}, {"route", limit.route}, {"limit", limit.limit}, {"verdict", verdict}};
        };
        limits.add(verdict("passed"), limit.passed)
            .add(verdict("refused"), limit.refused)
            .add(verdict("shadow"), limit.shadow);
    }
    page.counter("rate_keys_forgotten_total",
                 "Keys of rate limits that were pushed out of the table before their time.")
        .add({}, traffic.rate_keys_forgotten);

    page.gauge("connections", "Client connections open now.").add({}, traffic.connections_open);
    page.counter("connections_total", "Client connections accepted.").add({}, traffic.connections_total);
    page.counter("connections_refused_total", "Client connections refused: over max_connections.")
        .add({}, traffic.connections_refused);
    page.counter("connections_evicted_total",
                 "Client connections at rest that were closed to make room for new ones: at max_connections.")
        .add({}, traffic.connections_evicted);
    page.counter("accept_pauses_total", "Times that a listener took nobody for 100 ms, for want of file descriptors.")
        .add({}, traffic.accept_pauses);
    page.counter("client_aborts_total", "Clients that left before their answer was whole.")
        .add({}, traffic.client_aborts);
    page.counter("retries_total", "Requests sent once more, to another worker.").add({}, traffic.retries);
    page.counter("upgrades_total", "Connections that became tunnels.").add({}, traffic.upgrades);
    page.counter("upstream_connects_total", "Connections opened to workers.").add({}, traffic.upstream_connects);
    page.counter("upstream_reuses_total", "Requests sent on a kept connection.").add({}, traffic.upstream_reuses);
    page.counter("upstream_failures_total", "Connections to workers that failed.").add({}, traffic.upstream_failures);
    page.gauge("upstream_idle_connections", "Connections to workers that rest now.").add({}, traffic.upstream_idle);
    page.gauge("upstream_unheard_requests",
               "Requests that nobody waits for any more, in workers that are busy with them now.")
        .add({}, traffic.upstream_unheard);
    page.gauge("buffered_bytes", "Bytes of requests and responses in memory now.").add({}, traffic.buffered_bytes);
    page.gauge("buffered_limit_bytes", "What of them may be in memory: buffer_memory.").add({}, traffic.buffered_limit);
    page.gauge("buffered_file_bytes", "Bytes of requests and responses in temporary files now.")
        .add({}, traffic.buffered_file_bytes);
    page.gauge("buffered_file_limit_bytes", "What of them may be in temporary files: buffer_files.")
        .add({}, traffic.buffered_file_limit);
    page.gauge("loop_lag_seconds", "The worst delay of a reactor's loop over the last second.")
        .add({}, traffic.loop_lag_seconds);
}

void add_redis(Page& page, const net::RedisStats& redis) {
    auto requests = page.counter("redis_requests_total",
                                 "Requests with shared limits, by what came of asking Redis; but for ok, all were "
                                 "decided without it.");
    for (std::size_t i = 0; i < redis.results.size(); ++i)
        requests.add({{"result", std::string(net::redis_results[i])}}, redis.results[i]);
    page.histogram("redis_request_duration_seconds", "From a question to its answer, of those that came in time.")
        .add({}, redis.latency, net::redis_latency_bounds, redis.latency_sum);
    page.gauge("redis_breaker_state", "1 for the state that the breaker around Redis is in.")
        .add({{"state", redis.breaker}}, 1);
    page.counter("redis_breaker_trips_total", "How often it tripped, failed probes included.").add({}, redis.trips);
    page.gauge("redis_connections", "Connections to Redis that are ready, at most one a reactor.")
        .add({}, redis.connections);
    page.counter("redis_connects_total", "Connections to Redis that were made.").add({}, redis.connects);
    page.counter("redis_connects_failed_total", "Attempts to connect to Redis that failed.")
        .add({}, redis.connects_failed);
}

void add_gates(Page& page, const std::vector<net::GateStats>& gates) {
    const auto each = [&](Page::Family family, auto number) {
        for (const auto& gate : gates) family.add({{"pool", gate.pool}}, number(gate));
    };
    using Gate = const net::GateStats&;
    each(page.gauge("pool_overloaded", "1 while more is asked than can be done: who would wait too long is refused."),
         [](Gate gate) { return gate.overloaded ? 1 : 0; });
    each(
        page.gauge("pool_memory_shedding", "1 while all workers are above the load line and requests are shed for it."),
        [](Gate gate) { return gate.memory_shedding ? 1 : 0; });
    each(page.gauge("pool_shedding_futile", "1 while shedding has stopped because it did not lower the memory."),
         [](Gate gate) { return gate.shedding_futile ? 1 : 0; });
    each(page.gauge("pool_memory_waiting", "Requests that wait for room, because they need much memory."),
         [](Gate gate) { return gate.memory_waiting; });
    each(page.gauge("pool_health_panic", "1 while so many workers fail their health checks that all are served."),
         [](Gate gate) { return gate.health_panic ? 1 : 0; });
    each(page.gauge("pool_stall_shedding", "1 while requests are shed because tasks stall for memory (PSI)."),
         [](Gate gate) { return gate.stall_shedding ? 1 : 0; });
    auto pressure =
        page.gauge("pool_memory_pressure_ratio",
                   "Of the worker with the most room, its cgroup and host included: what the load line goes by.");
    for (const auto& gate : gates)
        if (gate.memory_pressure) pressure.add({{"pool", gate.pool}}, *gate.memory_pressure);
    auto stall =
        page.gauge("pool_memory_stall_ratio", "Share of the last 10 s in which everybody waited for memory (PSI).");
    for (const auto& gate : gates)
        if (gate.stall) stall.add({{"pool", gate.pool}}, *gate.stall);
    each(page.gauge("pool_queue_target_seconds", "The wait that is aimed at under overload."),
         [](Gate gate) { return gate.target_seconds; });
    each(page.gauge("pool_service_seconds", "How long a request holds its slot, on average."),
         [](Gate gate) { return gate.service_seconds; });
    auto denied = page.counter("retries_denied_total",
                               "Requests that were not sent once more, because their pool's retry budget was used up; "
                               "mode shadow: they were all the same.");
    for (const auto& gate : gates)
        denied.add({{"pool", gate.pool}, {"mode", "enforce"}}, gate.retries.denied)
            .add({{"pool", gate.pool}, {"mode", "shadow"}}, gate.retries.shadow);
    each(page.counter("pool_breaker_shadow_trips_total",
                      "How often a worker's breaker would have tripped (breaker.mode shadow). Its requests would have "
                      "gone to other workers: none of them counts as refused."),
         [](Gate gate) { return gate.shadow.trips; });
    each(page.counter("pool_memory_shadow_waits_total",
                      "Requests that began without room for what they need, and would have waited for it (memory.mode "
                      "shadow). Who had waited in vain counts in refusals_total as well."),
         [](Gate gate) { return gate.shadow.memory_waits; });
    each(page.counter("pool_health_shadow_requests_total",
                      "Requests that went to a worker whose health checks fail (health.mode shadow). They would have "
                      "gone to other workers."),
         [](Gate gate) { return gate.shadow.to_ailing; });
    each(page.counter("pool_adaptive_shadow_requests_total",
                      "Requests that went to a worker beyond the limit that was learned for it (adaptive.mode shadow). "
                      "They would have gone to others, or waited."),
         [](Gate gate) { return gate.shadow.beyond_limit; });
    auto queued = page.gauge("pool_queued", "Requests waiting for a slot, by priority.");
    for (const auto& gate : gates)
        for (std::size_t i = 0; i < priorities; ++i)
            queued.add({{"pool", gate.pool}, {"priority", name_of_priority(i)}}, gate.queued[i]);
    auto refused = page.counter("pool_refused_total", "Requests that the pool's gate refused, by priority.");
    for (const auto& gate : gates)
        for (std::size_t i = 0; i < priorities; ++i)
            refused.add({{"pool", gate.pool}, {"priority", name_of_priority(i)}}, gate.refused[i]);
    auto states = page.gauge("route_breaker_state", "1 for the state that a route's breaker is in.");
    for (const auto& gate : gates)
        for (const auto& route : gate.breakers)
            states.add({{"pool", gate.pool}, {"route", route.route}, {"state", route.state}}, 1);
    auto trips = page.counter("route_breaker_trips_total", "How often a route's breaker tripped.");
    for (const auto& gate : gates)
        for (const auto& route : gate.breakers) trips.add({{"pool", gate.pool}, {"route", route.route}}, route.trips);
}

void add_pools(Page& page, const std::vector<fleet::PoolView>& pools) {
    const auto each = [&](Page::Family family, auto number) {
        for (const auto& pool : pools) family.add({{"pool", pool.name}}, number(pool));
    };
    using View = const fleet::PoolView&;
    each(page.gauge("pool_workers", "Workers, in whatever state."), [](View pool) { return pool.workers.size(); });
    each(page.gauge("pool_serving", "Workers that serve."), [](View pool) { return pool.serving; });
    each(page.gauge("pool_min_serving", "Workers that must serve while one is recycled."),
         [](View pool) { return pool.min_serving; });
    each(page.gauge("pool_alert",
                    "1 while something is wrong that an operator must look at; plimsoll status says what."),
         [](View pool) { return pool.alert ? 1 : 0; });
    each(page.gauge("pool_recycles_last_hour", "Recycles within the last hour."),
         [](View pool) { return pool.recycles_last_hour; });
    each(page.gauge("pool_recycles_max_per_hour", "The most recycles allowed in an hour."),
         [](View pool) { return pool.max_per_hour; });
    each(page.counter("worker_deaths_total", "Workers that ended without being told to."),
         [](View pool) { return pool.deaths; });
    auto checks = page.counter("health_checks_total", "Health checks, by result; skipped: no slot was free.");
    for (const auto& pool : pools) {
        const auto result = [&](const char* result) { return Labels{{"pool", pool.name}, {"result", result}}; };
        checks.add(result("passed"), pool.checks_passed)
            .add(result("failed"), pool.checks_failed)
            .add(result("skipped"), pool.checks_skipped);
    }
    auto recycles = page.counter("recycles_total", "Recycles, by outcome.");
    auto outcome = [](const fleet::PoolView& pool, const char* outcome) {
        return Labels{{"pool", pool.name}, {"outcome", outcome}};
    };
    for (const auto& pool : pools)
        recycles.add(outcome(pool, "ok"), pool.recycles_ok).add(outcome(pool, "failed"), pool.recycles_failed);
    auto captures = page.counter("captures_total", "Captures, by outcome.");
    for (const auto& pool : pools)
        captures.add(outcome(pool, "ok"), pool.captures_ok).add(outcome(pool, "failed"), pool.captures_failed);
    auto trims = page.counter("trims_total", "Fragmented heaps that were trimmed.");
    for (const auto& pool : pools) trims.add({{"pool", pool.name}}, pool.trims);
    auto trimmed = page.counter("trimmed_bytes_total", "What they gave back.");
    for (const auto& pool : pools) trimmed.add({{"pool", pool.name}}, pool.trimmed.count);
}

void add_workers(Page& page, const Snapshot& snapshot) {
    const auto each = [&](Page::Family family, auto number) {
        for (const auto& pool : snapshot.pools)
            for (const auto& worker : pool.workers)
                family.add({{"pool", pool.name}, {"worker", worker.id}}, number(worker));
    };
    const auto each_known = [&](Page::Family family, auto number) { // no line where it is not
        for (const auto& pool : snapshot.pools)
            for (const auto& worker : pool.workers)
                if (const auto known = number(worker)) family.add({{"pool", pool.name}, {"worker", worker.id}}, *known);
    };
    using View = const fleet::WorkerView&;
    auto states = page.gauge("worker_state", "1 for the state that a worker is in.");
    for (const auto& pool : snapshot.pools)
        for (const auto& worker : pool.workers)
            states.add({{"pool", pool.name}, {"worker", worker.id}, {"state", worker.state}}, 1);
    each(page.gauge("worker_generation", "The n-th process in the worker's place."),
         [](View worker) { return worker.generation; });
    each(page.counter("worker_requests_total", "Requests given to this generation."),
         [](View worker) { return worker.requests; });
    each_known(page.counter("worker_server_requests_total",
                            "Requests of this generation by its server's own count (uWSGI), whoever sent them."),
               [](View worker) { return worker.server_requests; });
    each(page.gauge("worker_in_flight", "Requests in the worker now."), [](View worker) { return worker.in_flight; });
    each(page.gauge("worker_streams",
                    "Event streams and upgraded connections of the worker now, that hold none of its slots."),
         [](View worker) { return worker.streams; });
    each(page.gauge("worker_slots", "Requests that the worker serves at once."),
         [](View worker) { return worker.slots; });
    using Number = std::optional<double>;
    each_known(page.gauge("worker_learned_slots", "The limit that is learned of a worker whose slots nobody says."),
               [](View worker) { return worker.learned ? Number(worker.learned->slots) : Number(); });
    each_known(page.gauge("worker_base_seconds", "What a request takes there without queueing, as learned."),
               [](View worker) {
                   const bool known = worker.learned && worker.learned->base_seconds > 0;
                   return known ? Number(worker.learned->base_seconds) : Number();
               });
    each(page.counter("worker_breaker_trips_total", "How often the breaker of this generation tripped."),
         [](View worker) { return worker.breaker_trips; });
    auto breakers = page.gauge("worker_breaker_state", "1 for the state that a worker's breaker is in.");
    for (const auto& pool : snapshot.pools)
        for (const auto& worker : pool.workers)
            if (!worker.breaker.empty())
                breakers.add({{"pool", pool.name}, {"worker", worker.id}, {"state", worker.breaker}}, 1);
    each_known(page.gauge("worker_healthy", "0 while the worker's health checks fail. No line: it is not asked."),
               [](View worker) { return worker.health ? Number(worker.health->healthy ? 1 : 0) : Number(); });
    each(page.gauge("worker_agent_connected", "1 while the worker's agent is connected."),
         [](View worker) { return worker.agent.connected ? 1 : 0; });

    auto memory = page.gauge("worker_memory_bytes", "Memory, by kind: anon, rss, pss, uss. No line: unknown.");
    for (const auto& pool : snapshot.pools)
        for (const auto& worker : pool.workers) {
            const auto kind = [&](const char* kind) {
                return Labels{{"pool", pool.name}, {"worker", worker.id}, {"kind", kind}};
            };
            memory.add(kind("anon"), worker.memory.anon).add(kind("rss"), worker.memory.rss);
            memory.add(kind("pss"), worker.memory.pss).add(kind("uss"), worker.memory.uss);
        }
    each(page.gauge("worker_memory_limit_bytes", "Where the worker must not get to."),
         [](View worker) { return worker.memory.limit; });
    auto pressure = page.gauge("worker_memory_pressure_ratio", "How close the worker is to its limit, 0 to 1.");
    for (const auto& pool : snapshot.pools)
        for (const auto& worker : pool.workers)
            if (worker.memory.pressure)
                pressure.add({{"pool", pool.name}, {"worker", worker.id}}, *worker.memory.pressure);
    auto age = page.gauge("worker_memory_age_seconds", "Age of the reading.");
    for (const auto& pool : snapshot.pools)
        for (const auto& worker : pool.workers)
            if (worker.memory.taken_at)
                age.add({{"pool", pool.name}, {"worker", worker.id}},
                        std::chrono::duration<double>(snapshot.now - *worker.memory.taken_at).count());
}

void add_leaks(Page& page, const Snapshot& snapshot) {
    auto classes = page.gauge("worker_leak_class", "1 for what the worker's memory does: leaking, cache, steady, ...");
    const auto each = [&](const char* name, const char* help, auto number) {
        auto family = page.gauge(name, help);
        for (const auto& pool : snapshot.pools)
            for (const auto& worker : pool.workers) {
                const std::optional<double> value = worker.leak ? number(*worker.leak) : std::nullopt;
                if (value && std::isfinite(*value)) family.add({{"pool", pool.name}, {"worker", worker.id}}, *value);
            }
    };
    using View = const fleet::LeakView&;
    using Number = std::optional<double>;
    for (const auto& pool : snapshot.pools)
        for (const auto& worker : pool.workers)
            if (worker.leak) classes.add({{"pool", pool.name}, {"worker", worker.id}, {"class", worker.leak->kind}}, 1);
    each("worker_leak_bytes_per_request", "Growth of the worker's memory, a request.",
         [](View leak) -> Number { return leak.bytes_per_request; });
    each("worker_leak_confidence_ratio", "That the class is right, 0 to 1.",
         [](View leak) -> Number { return leak.confidence; });
    each("worker_leak_seconds_to_limit", "When it reaches its limit, if it goes on like this.",
         [](View leak) -> Number { return leak.seconds_to_limit; });
    each("worker_leak_requests_to_limit", "The same in requests.",
         [](View leak) -> Number { return leak.requests_to_limit; });
}

void add_experiments(Page& page, const std::vector<fleet::PoolView>& pools) {
    auto running = page.gauge("leak_experiment_running", "1 while it is varied which workers get which routes.");
    auto requests =
        page.gauge("leak_experiment_requests", "Of the pool, in the experiment that runs, or the last one.");
    auto p99 = page.gauge("leak_experiment_p99_seconds", "Of requests while traffic was varied, and in between.");
    auto ended = page.counter("leak_experiments_total", "Experiments by how they ended.");
    for (const auto& pool : pools) {
        if (!pool.experiment) continue;
        const fleet::ExperimentView& experiment = *pool.experiment;
        running.add({{"pool", pool.name}}, experiment.state == "running" ? 1 : 0);
        requests.add({{"pool", pool.name}}, experiment.requests);
        const auto seconds = [](Duration span) { return std::chrono::duration<double>(span).count(); };
        p99.add({{"pool", pool.name}, {"traffic", "varied"}}, seconds(experiment.varied_p99));
        p99.add({{"pool", pool.name}, {"traffic", "control"}}, seconds(experiment.control_p99));
        for (const auto& [how, count] : experiment.ended) ended.add({{"pool", pool.name}, {"outcome", how}}, count);
    }
}

void add_agents(Page& page, const fleet::AgentServer::Stats& agents) {
    page.gauge("agents_connected", "Agents that are connected now.").add({}, agents.connected);
    auto total =
        page.counter("agent_connections_total",
                     "Connections to the agents' socket, by what became of them; over_capacity: beyond the bound.");
    const auto add = [&](const char* result, std::uint64_t count) { total.add({{"result", result}}, count); };
    add("accepted", agents.accepted);
    add("refused", agents.refused);
    add("over_capacity", agents.over_capacity);
    add("fault", agents.faults);
    add("too_slow", agents.too_slow);
}

void add_incidents(Page& page, const Snapshot& snapshot) {
    auto opened = page.counter("incidents_total", "Incidents opened since the start, by trigger.");
    for (const auto& kind : snapshot.incidents)
        opened.add({{"pool", kind.pool}, {"trigger", kind.trigger}}, kind.count);
    if (!snapshot.incidents_kept) return;
    page.gauge("incidents_kept", "Incidents in the store.").add({}, snapshot.incidents_kept);
    page.counter("incidents_forgotten_total", "Incidents lost because they could not be written.")
        .add({}, snapshot.incidents_forgotten);
    page.gauge("store_works", "0 while incidents are kept in memory only, and captures refused.")
        .add({}, snapshot.store_works ? 1 : 0);
}

void add_self(Page& page, const Snapshot& snapshot) {
    page.gauge("build_info", "Always 1; the version is in the label.").add({{"version", snapshot.version}}, 1);
    page.gauge("start_time_seconds", "When the proxy started, in unix seconds.")
        .add({}, std::chrono::duration<double>(snapshot.started_at.time_since_epoch()).count());
    page.gauge("process_resident_memory_bytes", "The proxy's own resident memory.").add({}, snapshot.self.rss);
    page.counter("process_cpu_seconds_total", "The proxy's own CPU time.").add({}, snapshot.self.cpu_seconds);
    page.gauge("process_open_fds", "Descriptors that the proxy has open.").add({}, snapshot.self.open_files);
    page.gauge("process_max_fds", "Descriptors that it may have open.").add({}, snapshot.self.max_files);
    page.gauge("process_threads", "The proxy's own threads.").add({}, snapshot.self.threads);
    page.counter("log_dropped_total", "Lines of the log lost to a full queue or disk.").add({}, snapshot.log_dropped);
    page.counter("trace_dropped_total", "Lines of the trace of requests lost to a full queue or disk.")
        .add({}, snapshot.trace_dropped);
    page.gauge("admin_connections", "Connections to the admin API.").add({}, snapshot.admin_connections);
    page.counter("admin_events_missed_total", "Events that a slow subscriber did not get.")
        .add({}, snapshot.events_missed);
}

} // namespace

std::string metrics_text(const Snapshot& snapshot) {
    Page page;
    add_self(page, snapshot);
    if (snapshot.traffic) {
        add_traffic(page, *snapshot.traffic);
        add_gates(page, snapshot.traffic->gates);
        if (snapshot.traffic->redis) add_redis(page, *snapshot.traffic->redis);
    }
    if (snapshot.agents) add_agents(page, *snapshot.agents);
    add_pools(page, snapshot.pools);
    add_workers(page, snapshot);
    add_leaks(page, snapshot);
    add_experiments(page, snapshot.pools);
    add_incidents(page, snapshot);
    return page.text();
}

} // namespace plimsoll::admin
