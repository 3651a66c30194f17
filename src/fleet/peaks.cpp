#include "fleet/peaks.hpp"

#include <algorithm>
#include <utility>

#include "fleet/pool.hpp"
#include "fleet/wait.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

constexpr Duration usual = 1s, in_a_hurry = 100ms;
constexpr unsigned at_a_time = 4;
constexpr std::size_t shared_at_a_time = 64;

} // namespace

Peaks::Peaks(Pool& pool) : pool_(pool), reader_("/proc", pool.settings().memory.cgroup_root) {}

void Peaks::start() {
    spawn(pool_.context().control, "peaks of " + pool_.settings().name, watch(pool_.shared_from_this()));
}

asio::awaitable<void> Peaks::watch(std::shared_ptr<Pool> pool) {
    while (!pool->stopping()) {
        if (pool->settings().memory.mode != Mode::off) pool->peaks().look(Clock::now());
        co_await pause(IdleLooks::step);
    }
}

void Peaks::joined(const Generation& generation) {
    if (pool_.settings().memory.mode == Mode::off) return;
    if (generation.pid > 0)
        read(generation, watches_[generation.key], Clock::now());
    else if (generation.sample)
        take(generation, *generation.sample);
}

void Peaks::look(Instant now) {
    for (auto& [key, watch] : watches_) watch.alive = false;
    Watched due, soon;
    for (const WorkerPtr& worker : pool_.workers()) {
        for (const GenerationPtr& generation : {worker->current, worker->next}) {
            if (!generation || generation->gone() || generation->key == 0) continue;
            Watch& watch = watches_[generation->key];
            watch.alive = true;
            if (generation->pid <= 0) continue; // its agent tells: take()
            const bool strangers = watch.looks.was_read() && pool_.net().strangers_run(generation->key);
            if (const auto statm = watch.sampled || strangers ? reader_.statm(generation->pid) : std::nullopt) {
                watch.highest = std::max(watch.highest, statm->rss);
                if (strangers) pool_.net().shows(generation->key, statm->rss);
            }
            const auto look = watch.looks.due(now);
            const bool idle = look != IdleLooks::Due::no && pool_.net().in_flight(generation->key) == 0;
            if (!watch.looks.was_read() ||
                pool_.net().worth_reading(generation->key, watch.looks.last_reading(), usual) ||
                (idle && look == IdleLooks::Due::usual && moved_by_itself(*generation, watch, now)))
                due.emplace_back(generation.get(), &watch);
            else if (idle && look == IdleLooks::Due::soon)
                soon.emplace_back(generation.get(), &watch);
        }
    }
    for (std::size_t looks = 0; looks < std::min<std::size_t>(at_a_time, soon.size()); ++looks) {
        const auto& [generation, watch] = soon[idle_turn_++ % soon.size()];
        if (moved_by_itself(*generation, *watch, now)) due.emplace_back(generation, watch);
    }
    std::erase_if(watches_, [&](const auto& each) { return !each.second.alive; });
    for (std::size_t taken = 0; taken < std::min<std::size_t>(at_a_time, due.size()); ++taken) {
        const auto& [generation, watch] = due[turn_++ % due.size()];
        read(*generation, *watch, now);
    }
    const bool hurry = pool_.net().waits_for_memory();
    if (now - shared_read_ >= (hurry ? in_a_hurry : pool_.settings().memory.interval)) {
        shared_read_ = now;
        forget_domains(now);
        read_shared(now);
    }
}

bool Peaks::moved_by_itself(const Generation& generation, Watch& watch, Instant now) {
    const auto peak = reader_.peak(generation.pid);
    return peak && watch.looks.moved(now, watch.sampled ? peak->now : peak->highest, peak->now);
}

void Peaks::read(const Generation& generation, Watch& watch, Instant now) {
    const bool quiet_before = pool_.net().quiet(generation.key);
    const auto peak = reader_.peak(generation.pid);
    if (!peak) return; // it has ended
    const bool quiet = quiet_before && pool_.net().quiet(generation.key);
    const Bytes highest = watch.sampled ? std::max(watch.highest, peak->now) : peak->highest;
    watch.looks.read(now, highest, peak->now);
    watch.highest = {};
    pool_.net().about_to_read(generation.key);
    watch.sampled = !reader_.reset_peak(generation.pid);
    pool_.net().rose(generation.key, {highest, peak->now, quiet});
}

void Peaks::take(const Generation& generation, const Sample& sample) {
    if (generation.pid > 0 || generation.key == 0) return;
    if (Shared* domain =
            generation.agent && sample.cgroup_limit ? shared(memory_domain(generation), sample.taken) : nullptr) {
        domain->use = sample.cgroup_working_set ? sample.cgroup_working_set : sample.cgroup_usage;
        domain->limit = sample.cgroup_limit;
        domain->told = sample.taken;
    }
    // What runs there now need not have run when the agent looked: it is never taken for quiet.
    if (sample.peak && sample.rss) pool_.net().rose(generation.key, {*sample.peak, *sample.rss});
}

Peaks::Shared* Peaks::shared(const std::string& domain, Instant now) {
    const auto key = domains_.key_of(domain, now);
    if (!key) {
        if (!std::exchange(too_many_, true))
            log::warn("memory_domains_full",
                      {{"pool", pool_.settings().name},
                       {"most", DomainKeys::most},
                       {"effect", "workers in further cgroups are not admitted by what they share"}});
        return nullptr;
    }
    const auto [found, is_new] = shared_.try_emplace(domain);
    found->second.key = *key;
    if (is_new) pool_.net().share_domain(*key, pool_.context().promises, domain);
    return &found->second;
}

void Peaks::forget_domains(Instant now) {
    for (const auto& [name, key] : domains_.forget(now)) {
        pool_.net().forget_domain(key);
        shared_.erase(name);
        too_many_ = false;
    }
}

MemorySight Peaks::sight_of(const Generation& generation, Instant now) {
    const MemoryReading& memory = generation.memory;
    const config::Memory& settings = pool_.settings().memory;
    MemorySight sight;
    sight.use = memory.used(now, settings.stale_after);
    sight.limit = settings.limit;
    const bool fresh = sight.use.has_value();
    if (fresh && memory.address_space && memory.address_space_limit &&
        (!sight.limit || *memory.address_space_limit - *memory.address_space < *sight.limit - *sight.use)) {
        sight.use = memory.address_space;
        sight.limit = memory.address_space_limit;
    }
    if (generation.pid > 0) {
        if (memory.cgroup && memory.cgroup->limit && !memory.cgroup->limit_path.empty()) {
            if (Shared* domain = shared(memory.cgroup->limit_path, now)) {
                domain->cgroup = memory.cgroup;
                sight.domains[0] = domain->key;
                if (!domain->known) read(*domain, now);
            }
        }
        if (Shared* host = shared(this_host, now)) {
            host->host = true;
            sight.domains[1] = host->key;
            if (!host->known) read(*host, now);
        }
    } else if (generation.agent) {
        if (const Shared* domain = shared(memory_domain(generation), now)) sight.domains[0] = domain->key;
    }
    return sight;
}

void Peaks::read_shared(Instant now) {
    auto next = shared_.upper_bound(shared_turn_);
    for (std::size_t left = std::min(shared_at_a_time, shared_.size()); left > 0; --left, ++next) {
        if (next == shared_.end()) next = shared_.begin();
        shared_turn_ = next->first;
        read(next->second, now);
    }
}

void Peaks::read(Shared& domain, Instant now) {
    domain.known = true;
    std::optional<Bytes> use, limit;
    if (domain.host) {
        if (const auto host = reader_.host()) {
            use = host->total - host->available;
            limit = host->total;
        }
    } else if (domain.cgroup) {
        use = reader_.use_of_limit(*domain.cgroup);
        limit = domain.cgroup->limit;
    } else if (now - domain.told < pool_.settings().memory.stale_after) {
        use = domain.use;
        limit = domain.limit;
    }
    pool_.net().observe_domain(domain.key, use, limit);
}

} // namespace plimsoll::fleet
