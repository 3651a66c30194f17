#include "fleet/worker.hpp"

#include <algorithm>

#include "fleet/health_watch.hpp"

namespace plimsoll::fleet {

std::optional<Bytes> MemoryReading::used(Instant now, Duration stale_after) const {
    if (now - taken > stale_after) return std::nullopt;
    return anon ? anon : rss;
}

std::optional<double> MemoryReading::pressure(Instant now, Duration stale_after) const {
    const auto bytes = used(now, stale_after);
    if (!bytes) return std::nullopt;
    std::optional<double> pressure;
    const auto consider = [&pressure](Bytes use, std::optional<Bytes> most) {
        if (!most || most->count <= 0) return;
        const double share = static_cast<double>(use.count) / static_cast<double>(most->count);
        pressure = std::max(pressure.value_or(share), share);
    };
    consider(*bytes, limit);
    if (address_space) consider(*address_space, address_space_limit);
    return pressure;
}

std::string Generation::name_of_process() const {
    if (pid > 0) return "pid " + std::to_string(pid);
    if (agent) return "pid " + std::to_string(agent_pid()) + " on " + agent->hello().host;
    if (address) return net::to_string(*address);
    return "pid unknown";
}

std::string memory_domain(const Generation& generation) {
    if (generation.pid > 0) return generation.memory.cgroup ? generation.memory.cgroup->path : this_host;
    return generation.agent ? "host " + generation.agent->hello().host : this_host;
}

bool Worker::serves() const {
    return (current && takes_requests(current->state)) || (next && takes_requests(next->state));
}

bool Worker::accepts() const {
    const auto is_given = [](const std::shared_ptr<Generation>& generation) {
        return generation && takes_requests(generation->state) && !generation->aside &&
               !HealthWatch::ailing(*generation);
    };
    return is_given(current) || is_given(next);
}

namespace {

MemoryView memory_of(const MemoryReading& memory, Instant now, Duration stale_after) {
    MemoryView view;
    view.limit = memory.limit;
    view.source = "none";
    if (!memory.used(now, stale_after)) return view; // too old is unknown, whatever the last number was
    view.source = memory.source;
    view.anon = memory.anon;
    view.rss = memory.rss;
    view.taken_at = memory.taken_at;
    view.pressure = memory.pressure(now, stale_after);
    if (memory.rollup) {
        view.pss = memory.rollup->pss;
        view.uss = memory.rollup->uss;
    }
    return view;
}

AgentView agent_of(const Generation& generation) {
    AgentView view;
    if (!generation.agent) return view;
    const Hello& hello = generation.agent->hello();
    view.connected = generation.agent->connected();
    view.server = hello.server;
    view.release = hello.release;
    if (!hello.server_version.empty()) view.server += " " + hello.server_version;
    if (!hello.worker_class.empty()) view.server += " " + hello.worker_class;
    view.python = hello.python;
    view.version = hello.agent;
    return view;
}

} // namespace

WorkerView view_of(const Worker& worker, const std::string& pool, const net::Pool& net, Instant now,
                   Duration stale_after) {
    WorkerView view;
    view.id = worker.id;
    view.pool = pool;
    view.state = to_string(worker.state());
    if (!worker.face()) return view;
    const Generation& generation = *worker.face();
    view.generation = generation.number;
    view.addressable = generation.address.has_value();
    view.advice = generation.advice;
    if (view.addressable && !generation.gone() && generation.serving_since == Instant{})
        view.advice = generation.not_ready.why;
    if (generation.address) view.address = net::to_string(*generation.address);
    if (generation.pid > 0)
        view.pid = generation.pid;
    else if (generation.agent)
        view.pid = generation.agent_pid();
    view.started_at = generation.started_at;
    view.requests = generation.key ? net.requests(generation.key) : generation.served;
    view.server_requests = generation.server_requests;
    const unsigned all = generation.key ? net.in_flight(generation.key) : 0;
    view.streams = generation.key ? std::min(net.streams(generation.key), all) : 0; // one may end between the two
    view.in_flight = all - view.streams;
    view.slots = generation.key ? net.slots(generation.key) : generation.slots;
    if (generation.key) {
        if (const auto learned = net.learned(generation.key))
            view.learned = {learned->slots, std::chrono::duration<double>(learned->base).count()};
        const auto breaker = net.breaker(generation.key);
        view.breaker = to_string(breaker.state);
        view.breaker_trips = breaker.trips;
        view.takes = to_string(net.takes(generation.key));
    }
    view.memory = memory_of(generation.memory, now, stale_after);
    view.agent = agent_of(generation);
    return view;
}

} // namespace plimsoll::fleet
