#include "fleet/fleet.hpp"

#include <algorithm>
#include <set>

#include "fleet/agent_server.hpp"
#include "fleet/context.hpp"
#include "fleet/orphans.hpp"
#include "fleet/pool.hpp"
#include "fleet/wait.hpp"
#include "log/log.hpp"
#include "plimsoll/fleet/sharers.hpp"

namespace plimsoll::fleet {

namespace {

constexpr std::size_t slow_threads = 2;
constexpr Duration sweep_interval = std::chrono::minutes{1};
constexpr Duration orphan_bound = std::chrono::seconds{10};
constexpr Duration sharing_age = std::chrono::seconds{1};
constexpr Duration smallest_sample_interval = std::chrono::milliseconds{250};

// Agents sample as often as the most curious pool wants to know.
Duration sample_interval(const config::Config& config) {
    Duration interval = std::chrono::seconds{1};
    for (const config::Pool& pool : config.pools) interval = std::min(interval, pool.memory.interval);
    return std::max(interval, smallest_sample_interval);
}

bool is_idle(const Gate::Stats& gate) {
    return std::ranges::all_of(gate.queued, [](std::size_t queued) { return queued == 0; }) &&
           std::ranges::all_of(gate.workers, [](const Gate::WorkerStats& worker) { return worker.in_flight == 0; });
}

bool awaits_agents(const config::Source& source) {
    return source.kind == config::SourceKind::gunicorn || source.kind == config::SourceKind::uvicorn ||
           source.kind == config::SourceKind::uwsgi;
}

} // namespace

struct Fleet::Impl {
    Impl(asio::io_context& control, const config::Config& config, store::IncidentStore& store, Surroundings around)
        : threads(std::make_shared<asio::thread_pool>(slow_threads)),
          context(std::make_shared<Context>(Context{.control = control,
                                                    .threads = threads,
                                                    .journal = Journal(threads, store, around.publish),
                                                    .surroundings = std::move(around),
                                                    .state_dir = config.store.path,
                                                    .token = config.proxy.token})),
          agents(control, {config.proxy.control, config.proxy.token, sample_interval(config)}, events()) {
        context->sharing = [this](const std::string& domain) { return sharing(domain); };
    }

    AgentServer::Events events();
    std::shared_ptr<Pool> pool_of(const std::string& name, std::string& refusal) const;
    std::shared_ptr<Pool> pool_of(const Hello& hello) const {
        std::string ignored; // those who were refused have no agent
        return pool_of(hello.pool, ignored);
    }
    unsigned sharing(const std::string& domain);
    static asio::awaitable<void> stop(Impl* self, std::function<void()> done);
    static asio::awaitable<void> end(Impl* self, std::shared_ptr<Pool> pool, Duration bound,
                                     std::function<void()> done);
    template <class Action>
    ActionResult act(const std::string& pool, Action action) const {
        const auto found = std::ranges::find(pools, pool, [](const auto& p) { return p->settings().name; });
        if (found == pools.end()) return {404, {}, "no pool " + pool, std::nullopt};
        if (context->stopping) return {409, {}, "Plimsoll is stopping", std::nullopt};
        return action(**found);
    }

    void note_routes(const config::Config& config) {
        routed_pools.clear();
        std::set<std::string> closed;
        for (const config::Pool& pool : config.pools)
            if (pool.maintenance.enabled) closed.insert(pool.name);
        for (const config::Route& route : config.routes) {
            const bool own = route.respond.status != 0 || !route.redirect.to.empty() || route.maintenance.enabled;
            if (!own && !closed.contains(route.pool)) routed_pools.insert(route.pool);
        }
    }
    bool routed(const Pool& pool) const { return routed_pools.contains(pool.settings().name); }

    // Of which somebody wants an answer: not those whose pages we have, nor a pool that a reload took all routes from.
    std::set<std::string> routed_pools;
    std::shared_ptr<asio::thread_pool> threads;
    std::shared_ptr<Context> context;
    std::vector<std::shared_ptr<Pool>> pools; // those that end, too
    std::set<std::string> ending;
    AgentServer agents;
    Sharers sharers; // counted once a second
    Instant sharers_counted{};
};

namespace {

asio::awaitable<void> keep_house(std::shared_ptr<Context> context) {
    while (!context->stopping) {
        co_await pause(sweep_interval);
        if (!context->stopping) co_await context->journal.sweep();
    }
}

} // namespace

// An agent may leave out its pool where only one can be meant.
std::shared_ptr<Pool> Fleet::Impl::pool_of(const std::string& name, std::string& refusal) const {
    if (!name.empty()) {
        const auto found = std::ranges::find(pools, name, [](const auto& pool) { return pool->settings().name; });
        if (found != pools.end()) return *found;
        refusal = "there is no pool " + name + " (PLIMSOLL_POOL)";
        return nullptr;
    }
    std::shared_ptr<Pool> only;
    for (const auto& pool : pools) {
        if (ending.contains(pool->settings().name)) continue;
        if (pools.size() - ending.size() == 1) return pool;
        if (!awaits_agents(pool->settings().source)) continue;
        if (only) {
            refusal = "several pools await agents: set PLIMSOLL_POOL";
            return nullptr;
        }
        only = pool;
    }
    if (!only) refusal = "no pool awaits agents: set PLIMSOLL_POOL";
    return only;
}

AgentServer::Events Fleet::Impl::events() {
    AgentServer::Events events;
    events.admit = [this](const Hello& hello, std::string& refusal) -> std::string {
        const auto pool = pool_of(hello.pool, refusal);
        if (!pool) return {};
        refusal = pool->refuse(hello);
        return pool->settings().name;
    };
    events.connected = [this](std::shared_ptr<Agent> agent) {
        if (const auto pool = pool_of(agent->hello())) pool->connected(agent);
    };
    events.ready = [this](Agent& agent) {
        if (const auto pool = pool_of(agent.hello())) pool->ready(agent);
    };
    events.sample = [this](Agent& agent, const Sample& sample) {
        if (const auto pool = pool_of(agent.hello())) pool->sample(agent, sample);
    };
    events.disconnected = [this](Agent& agent, bool said_bye) {
        if (const auto pool = pool_of(agent.hello())) pool->disconnected(agent, said_bye);
    };
    events.exited = [this](const Exited& word) {
        std::string ignored; // a word about nobody's worker changes nothing
        if (const auto pool = pool_of(word.pool, ignored)) pool->exited(word);
    };
    return events;
}

unsigned Fleet::Impl::sharing(const std::string& domain) {
    const Instant now = Clock::now();
    if (now - sharers_counted >= sharing_age) {
        sharers_counted = now;
        sharers.clear();
        for (const auto& pool : pools)
            for (const WorkerPtr& worker : pool->workers()) {
                if (!worker->current || worker->current->gone()) continue;
                const std::string where = memory_domain(*worker->current);
                sharers.add(where);
                if (worker->current->pid > 0 && where != this_host) sharers.add(this_host);
            }
    }
    return sharers.of(domain);
}

asio::awaitable<void> Fleet::Impl::stop(Impl* self, std::function<void()> done) {
    // All pools at once: each has its own bound. Those that end already do so by themselves.
    const auto left = std::make_shared<std::size_t>(self->pools.size() - self->ending.size());
    const auto one = [](std::shared_ptr<Pool> pool, std::shared_ptr<std::size_t> count) -> asio::awaitable<void> {
        co_await pool->stop();
        --*count;
    };
    for (const auto& pool : self->pools)
        if (!self->ending.contains(pool->settings().name))
            spawn(self->context->control, "stop " + pool->settings().name, one(pool, left));
    while (*left > 0 || !self->ending.empty()) co_await pause(std::chrono::milliseconds{5});
    self->agents.stop();
    done();
}

asio::awaitable<void> Fleet::Impl::end(Impl* self, std::shared_ptr<Pool> pool, Duration bound,
                                       std::function<void()> done) {
    const std::string name = pool->settings().name;
    const auto& sought = self->context->surroundings.sought;
    const auto idle = [self, pool, &sought, &name] {
        return self->context->stopping || ((!sought || !sought(name)) && is_idle(pool->net().stats()));
    };
    co_await until(idle, bound);
    co_await pool->stop();
    std::erase(self->pools, pool);
    self->ending.erase(name);
    pool->part_from_agents();
    log::info("pool_ended", {{"pool", name}});
    self->context->journal.publish("pool", {{"pool", name}, {"state", "ended"}});
    done();
}

Fleet::Fleet(asio::io_context& control, const config::Config& config, std::vector<std::shared_ptr<net::Pool>> pools,
             store::IncidentStore& store, Surroundings surroundings)
    : impl_(std::make_unique<Impl>(control, config, store, std::move(surroundings))) {
    for (std::size_t i = 0; i < config.pools.size(); ++i)
        impl_->pools.push_back(std::make_shared<Pool>(impl_->context, config.pools[i], pools.at(i)));
    impl_->note_routes(config);
}

Fleet::~Fleet() {
    impl_->context->stopping = true;
    impl_->threads->join(); // the last words of incidents reach the store
}

std::string Fleet::start() {
    std::string problem = impl_->agents.start();
    if (!problem.empty()) return problem;
    const auto addresses = impl_->agents.addresses();
    // Children live on this machine: the unix socket, where there is one, needs no token.
    const auto local = std::ranges::find_if(addresses, [](const std::string& a) { return !a.starts_with("tcp:"); });
    if (local != addresses.end())
        impl_->context->control_address = *local;
    else if (!addresses.empty())
        impl_->context->control_address = addresses.front();
    spawn(impl_->context->control, "sweep", keep_house(impl_->context));
    std::vector<int> orphans = find_orphans(impl_->context->surroundings.run_dir);
    if (!orphans.empty())
        spawn(impl_->context->control, "orphans", end_orphans(impl_->context, std::move(orphans), orphan_bound));
    for (const auto& pool : impl_->pools) {
        problem = pool->start();
        if (!problem.empty()) return problem;
    }
    return {};
}

void Fleet::apply(const config::Config& config) {
    for (const auto& pool : impl_->pools) {
        const auto found = std::ranges::find(config.pools, pool->settings().name, &config::Pool::name);
        if (found != config.pools.end()) pool->apply(*found);
    }
    impl_->note_routes(config);
}

std::string Fleet::add(const config::Pool& settings, std::shared_ptr<net::Pool> net) {
    const auto pool = impl_->pools.emplace_back(std::make_shared<Pool>(impl_->context, settings, std::move(net)));
    std::string problem = pool->start();
    if (!problem.empty()) return problem;
    log::info("pool_started", {{"pool", settings.name}});
    impl_->context->journal.publish("pool", {{"pool", settings.name}, {"state", "started"}});
    return {};
}

void Fleet::remove(const std::string& name, Duration bound, std::function<void()> done) {
    const auto found = std::ranges::find(impl_->pools, name, [](const auto& pool) { return pool->settings().name; });
    if (found == impl_->pools.end() || !impl_->ending.insert(name).second) return;
    spawn(impl_->context->control, "end " + name, Impl::end(impl_.get(), *found, bound, std::move(done)));
}

bool Fleet::ending(const std::string& pool) const { return impl_->ending.contains(pool); }

void Fleet::stop(std::function<void()> done) {
    impl_->context->stopping = true;
    spawn(impl_->context->control, "stop", Impl::stop(impl_.get(), std::move(done)));
}

AgentServer::Stats Fleet::agents() const { return impl_->agents.stats(); }

bool Fleet::ready() const {
    return std::ranges::all_of(impl_->pools,
                               [this](const auto& pool) { return pool->serving() > 0 || !impl_->routed(*pool); });
}

bool Fleet::ready_for_some() const {
    const auto routed = [this](const auto& pool) { return impl_->routed(*pool); };
    return std::ranges::none_of(impl_->pools, routed) ||
           std::ranges::any_of(impl_->pools, [&](const auto& pool) { return routed(pool) && pool->serving() > 0; });
}

std::vector<PoolView> Fleet::view() const {
    std::vector<PoolView> views;
    for (const auto& pool : impl_->pools) {
        views.push_back(pool->view());
        views.back().routed = impl_->routed(*pool);
    }
    return views;
}

ActionResult Fleet::drain(const std::string& pool, const std::string& worker) {
    return impl_->act(pool, [&](Pool& found) { return found.drain(worker); });
}
ActionResult Fleet::undrain(const std::string& pool, const std::string& worker) {
    return impl_->act(pool, [&](Pool& found) { return found.undrain(worker); });
}
ActionResult Fleet::recycle(const std::string& pool, const std::string& worker, const std::string& why) {
    return impl_->act(pool, [&](Pool& found) { return found.recycle(worker, why); });
}
ActionResult Fleet::capture(const std::string& pool, const std::string& worker) {
    return impl_->act(pool, [&](Pool& found) { return found.take_capture(worker, false); });
}
ActionResult Fleet::trace(const std::string& pool, const std::string& worker) {
    return impl_->act(pool, [&](Pool& found) { return found.take_capture(worker, true); });
}

} // namespace plimsoll::fleet
