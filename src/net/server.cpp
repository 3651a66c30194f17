#include "net/server.hpp"

#include <algorithm>
#include <atomic>
#include <thread>

#include <unistd.h>

#include "log/log.hpp"
#include "net/io/descriptors.hpp"
#include "net/io/spool.hpp"
#include "net/listeners.hpp"
#include "net/reactor.hpp"

namespace plimsoll::net {

namespace {

unsigned thread_count(const config::Config& config) {
    return config.proxy.threads ? config.proxy.threads : std::max(1U, std::thread::hardware_concurrency());
}

void tell_if_clients_are_bounded_by_descriptors(const config::Config& config) {
    const auto affordable = io::affordable_clients();
    if (affordable >= config.proxy.max_connections / 10 * 9) return; // nearly as many are no news
    log::warn("max_connections_lowered",
              {{"wanted", config.proxy.max_connections},
               {"connections", affordable},
               {"why", "each may take two of the open files that this process may have"},
               {"hint", "raise the hard limit (ulimit -Hn, LimitNOFILE=), or lower max_connections"}});
}

constexpr std::size_t most_needs = 20;

GateStats gate_stats(const Pool& pool, const Gate::Stats& gate) {
    const std::map<RouteKey, std::string> labels = pool.route_labels();
    GateStats stats;
    stats.pool = pool.name();
    stats.memory_waiting = gate.memory_waiting;
    for (auto& [label, expected, at_first, readings, never_fits] : pool.needs(most_needs))
        stats.needs.push_back({label, expected, at_first, readings,
                               gate.memory_light.count > 0 && at_first > gate.memory_light, never_fits});
    stats.overloaded = gate.overloaded;
    stats.memory_shedding = gate.memory_shedding;
    stats.shedding_futile = gate.shedding_futile;
    stats.health_panic = gate.health_panic;
    stats.retries = pool.retry_stats();
    stats.shadow = gate.shadow;
    if (gate.stall >= 0) stats.stall = gate.stall;
    stats.stall_shedding = gate.stall_shedding;
    if (gate.memory_pressure >= 0) stats.memory_pressure = gate.memory_pressure;
    stats.target_seconds = to_seconds(gate.queue_target);
    stats.service_seconds = to_seconds(gate.service_time);
    std::copy(std::begin(gate.refused_by_priority), std::end(gate.refused_by_priority), stats.refused.begin());
    std::ranges::copy(gate.queued, stats.queued.begin());
    for (const auto& [key, label] : labels)
        if (key < gate.routes.size())
            stats.breakers.push_back({label, std::string(to_string(gate.routes[key].state)), gate.routes[key].trips});
    return stats;
}

} // namespace

struct Server::Impl {
    explicit Impl(const config::Config& config)
        : shared(thread_count(config)), threads_wanted(thread_count(config)), listeners(threads_wanted) {}

    Shared shared;
    const unsigned threads_wanted;
    config::Config config;
    Pools pools;
    Listeners listeners;
    std::vector<Listeners::Opened> unattended; // nobody accepts there yet
    std::vector<std::unique_ptr<Reactor>> reactors;
    std::vector<std::thread> threads;
    std::shared_ptr<const redis::Settings> redis_settings; // null: no limit is shared
    std::uint64_t generation = 0;
    std::vector<std::weak_ptr<const Snapshot>> published; // those that somebody holds
    std::atomic<bool> stopping = false;

    void publish() {
        use_redis();
        const auto fresh = std::make_shared<const Snapshot>(config, pools, shared.registry, shared.limits,
                                                            listeners.settings(), redis_settings, ++generation);
        std::erase_if(published, [](const auto& each) { return each.expired(); });
        published.emplace_back(fresh);
        shared.publish(fresh);
    }
    std::string start();
    void use_redis();
    void listen(const std::vector<Listeners::Opened>& opened);
    void close_others(const std::vector<config::Listener>& wanted) {
        for (const auto index : listeners.close_others(wanted))
            for (auto& reactor : reactors) reactor->post([&reactor, index] { reactor->stop_listening(index); });
    }
    void close_all() {
        for (auto& reactor : reactors) reactor->leave();
        for (auto& thread : threads) thread.join();
        threads.clear();
        reactors.clear();
    }
    // Runs `what` on every reactor and `done` after the last of them.
    void on_all(const std::function<void(Reactor&, std::function<void()>)>& what, std::function<void()> done);
};

Server::Server(const config::Config& config, Pools pools) : impl_(std::make_unique<Impl>(config)) {
    io::raise_descriptor_limit();
    impl_->config = config;
    impl_->pools = std::move(pools);
    impl_->publish();
}

Server::~Server() { end(); }

void Server::end() {
    if (impl_->reactors.empty()) return;
    std::atomic<bool> stopped = false;
    stop(Duration::zero(), [&stopped] {
        stopped = true;
        stopped.notify_one();
    });
    stopped.wait(false);
    impl_->close_all();
}

// A connection is kept over a reload that does not concern it. Certificates are files, which may have changed unseen.
void Server::Impl::use_redis() {
    const auto shares = [](const config::Limit& limit) { return limit.shared && limit.mode != config::Mode::off; };
    const bool wanted = std::ranges::any_of(
        config.routes, [&](const config::Route& route) { return std::ranges::any_of(route.limits, shares); });
    const auto& now = redis_settings;
    if (wanted ? now && !now->secured && now->config == config.redis : !now) return;
    redis_settings = wanted ? redis::settings_of(config.redis) : nullptr;
    shared.redis_health.use(redis_settings);
}

void Server::Impl::listen(const std::vector<Listeners::Opened>& opened) {
    for (const auto& one : opened) {
        for (std::size_t i = 0; i < one.sockets.size(); ++i) { // more than reactors: a predecessor had more of them
            if (!one.sockets[i]) continue;
            auto& reactor = *reactors[i % reactors.size()];
            reactor.post([&reactor, socket = one.sockets[i], index = one.index, shared = one.shared] {
                reactor.listen(socket, index, shared);
            });
        }
    }
}

std::string Server::start() {
    try {
        return impl_->start();
    } catch (const std::exception& error) { // no descriptor for a reactor, or no thread
        impl_->close_all();
        return "cannot serve with " + std::to_string(impl_->threads_wanted) + " threads (" + error.what() +
               "): lower [proxy] threads, or raise what this process may have of threads (ulimit -u, TasksMax=, a "
               "container's pids limit) and open files (ulimit -n, LimitNOFILE=)";
    }
}

std::string Server::Impl::start() {
    tell_if_clients_are_bounded_by_descriptors(config);
    if (::access(config.store.path.c_str(), W_OK) == 0) io::use_directory(config.store.path.c_str());
    for (unsigned i = 0; i < threads_wanted; ++i) reactors.push_back(std::make_unique<Reactor>(i, shared));
    auto problem = listeners.open(config.listeners, unattended);
    if (!problem.empty()) {
        reactors.clear();
        return problem;
    }
    publish();
    for (auto& reactor : reactors) threads.emplace_back([&reactor] { reactor->run(); });
    return {};
}

void Server::accept() { impl_->listen(std::exchange(impl_->unattended, {})); }

std::vector<std::string> Server::addresses() const { return impl_->listeners.addresses(); }

std::string Server::apply(const config::Config& config, Pools pools) {
    std::vector<Listeners::Opened> opened;
    if (auto problem = impl_->listeners.open(config.listeners, opened); !problem.empty()) {
        impl_->close_others(impl_->config.listeners);
        return problem;
    }
    impl_->config = config;
    impl_->pools = std::move(pools);
    impl_->publish(); // before anybody comes through a new listener
    for (auto& reactor : impl_->reactors) reactor->post([&reactor] { reactor->snapshot(); });
    impl_->listen(opened);
    impl_->close_others(config.listeners);
    return {};
}

void Server::set_pools(Pools pools) { impl_->pools = std::move(pools); }

bool Server::leads_to(const std::string& pool) const {
    std::erase_if(impl_->published, [](const auto& each) { return each.expired(); });
    return std::ranges::any_of(impl_->published, [&](const auto& each) {
        const auto snapshot = each.lock();
        return snapshot && std::ranges::any_of(snapshot->targets(), [&](const auto& t) { return t->name == pool; });
    });
}

void Server::Impl::on_all(const std::function<void(Reactor&, std::function<void()>)>& what,
                          std::function<void()> done) {
    struct Count {
        std::atomic<std::size_t> left;
        std::function<void()> done;
    };
    auto count = std::make_shared<Count>();
    count->left = reactors.size();
    count->done = std::move(done);
    if (reactors.empty()) return count->done();
    for (auto& reactor : reactors)
        reactor->post([what, count, &reactor] {
            what(*reactor, [count] {
                if (count->left.fetch_sub(1) == 1) count->done();
            });
        });
}

void Server::close_idle(WorkerKey worker, std::function<void()> done) {
    impl_->on_all(
        [worker](Reactor& reactor, std::function<void()> one_done) {
            reactor.upstreams.close_idle(worker);
            one_done();
        },
        std::move(done));
}

void Server::tell(Readiness readiness) { impl_->shared.readiness.store(readiness, std::memory_order_relaxed); }

void Server::part() { impl_->shared.parting.store(true, std::memory_order_relaxed); }

void Server::stop(Duration bound, std::function<void()> done) {
    impl_->listeners.leave_all();
    impl_->on_all(
        [bound](Reactor& reactor, std::function<void()> one_done) { reactor.stop(bound, std::move(one_done)); },
        std::move(done));
}

ServerStats Server::stats() const {
    ServerStats stats;
    impl_->shared.registry.add_to(stats);
    ReactorCounters::Refusals refusals;
    std::uint64_t lag = 0;
    for (const auto& each : impl_->shared.counters) {
        stats.connections_open += each->connections_open.get();
        stats.connections_total += each->connections_total.get();
        stats.connections_refused += each->connections_refused.get();
        stats.connections_evicted += each->connections_evicted.get();
        stats.accept_pauses += each->accept_pauses.get();
        stats.retries += each->retries.get();
        stats.client_aborts += each->client_aborts.get();
        stats.upgrades += each->upgrades.get();
        stats.cut_requests += each->cut_requests.get();
        stats.cut_tunnels += each->cut_tunnels.get();
        stats.cut_connections += each->cut_connections.get();
        stats.upstream_connects += each->upstream_connects.get();
        stats.upstream_reuses += each->upstream_reuses.get();
        stats.upstream_failures += each->upstream_failures.get();
        stats.upstream_idle += each->upstream_idle.get();
        stats.upstream_unheard += each->upstream_unheard.get();
        lag = std::max(lag, each->loop_lag_nanoseconds.get());
        each->add_refusals(refusals);
    }
    const auto& [memory, files] = impl_->shared.budgets;
    stats.buffered_bytes = memory.used();
    stats.buffered_limit = memory.limit();
    stats.buffered_file_bytes = files.used();
    stats.buffered_file_limit = files.limit();
    for (const auto& [key, count] : refusals) {
        const auto& [pool, reason, mode] = key;
        stats.refusals.push_back({std::string(pool), std::string(reason), std::string(mode), count});
    }
    impl_->shared.limits.add_to(stats);
    impl_->shared.redis_health.add_to(stats);
    for (const auto& [name, pool] : impl_->pools) {
        const Gate::Stats gate = pool->summary();
        stats.gates.push_back(gate_stats(*pool, gate));
        for (std::size_t reason = 1; reason < std::size(gate.shadow_refused); ++reason)
            if (gate.shadow_refused[reason])
                stats.refusals.push_back(
                    {name, std::string(to_string(static_cast<Reason>(reason))), "shadow", gate.shadow_refused[reason]});
    }
    stats.loop_lag_seconds = static_cast<double>(lag) / 1e9;
    return stats;
}

} // namespace plimsoll::net
