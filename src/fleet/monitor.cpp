#include "fleet/monitor.hpp"

#include <algorithm>

#include "fleet/leak_watch.hpp"
#include "fleet/peaks.hpp"
#include "fleet/pool.hpp"
#include "fleet/process_tree.hpp"
#include "fleet/recycler.hpp"
#include "fleet/stall.hpp"
#include "fleet/wait.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

constexpr Duration slow_interval = 15s;
constexpr Duration first_slow_look = 500ms; // limits come from it: soon after the start

std::vector<GenerationPtr> alive(Pool& pool) {
    std::vector<GenerationPtr> found;
    for (const WorkerPtr& worker : pool.workers())
        for (const GenerationPtr& generation : {worker->current, worker->next})
            if (generation && !generation->gone()) found.push_back(generation);
    return found;
}

} // namespace

Monitor::Monitor(Pool& pool)
    : pool_(pool), reader_(std::make_shared<sense::Reader>("/proc", pool.settings().memory.cgroup_root)) {}

void Monitor::start() {
    host_ = reader_->host();
    spawn(pool_.context().control, "memory of " + pool_.settings().name, poll(pool_.shared_from_this()));
    spawn(pool_.context().control, "slow memory of " + pool_.settings().name, poll_slowly(pool_.shared_from_this()));
}

asio::awaitable<void> Monitor::poll(std::shared_ptr<Pool> pool) {
    ReadingPace pace;
    while (!pool->stopping()) {
        Monitor& self = pool->monitor();
        const Instant now = Clock::now();
        const Duration interval = pool->settings().memory.interval;
        pace.begin();
        for (const GenerationPtr& generation : alive(*pool)) {
            if (generation->pid > 0) self.read(*generation, now);
            self.judge(*generation, now);
            if (const auto pressure = generation->memory.pressure(now, pool->settings().memory.stale_after))
                pace.saw(*pressure, generation->memory.growth.see(*pressure, now, interval));
        }
        self.look_for_stalls();
        pool->leaks().tick(now);
        pool->recycler().tick(now);
        co_await pause(pace.pause(Clock::now() - now, interval));
    }
}

asio::awaitable<void> Monitor::poll_slowly(std::shared_ptr<Pool> pool) {
    Instant due = Clock::now() + first_slow_look;
    while (!pool->stopping()) {
        // Those that have never been looked at do not wait for the next round: their limit hangs on it.
        const bool all = Clock::now() >= due;
        if (all) due = Clock::now() + slow_interval;
        for (const GenerationPtr& generation : alive(*pool))
            if (all || !generation->memory.looked_at) co_await pool->monitor().look_closely(generation);
        co_await pause(first_slow_look);
    }
}

void Monitor::look(Generation& generation) {
    const Instant now = Clock::now();
    if (generation.pid > 0) read(generation, now);
    judge(generation, now);
}

void Monitor::look_for_stalls() {
    std::vector<sense::Cgroup> cgroups; // few: mostly all workers live in one
    for (const GenerationPtr& generation : alive(pool_)) {
        const auto& cgroup = generation->memory.cgroup;
        if (cgroup && std::ranges::find(cgroups, cgroup->path, &sense::Cgroup::path) == cgroups.end())
            cgroups.push_back(*cgroup);
    }
    pool_.net().observe_stall(read_stall(*reader_, cgroups).value_or(-1));
}

void Monitor::read(Generation& generation, Instant now) {
    // Its wrapper or supervisor, and whatever lives below it.
    const bool whole_tree = generation.child && !generation.agent_of_server();
    const auto statm = whole_tree ? statm_of_tree(*reader_, generation.pid) : reader_->statm(generation.pid);
    if (!statm) return; // the last reading ages and becomes unknown
    generation.memory.anon = statm->anon();
    generation.memory.rss = statm->rss;
    // Of a tree the processes have an address space, and a limit, each.
    generation.memory.address_space = whole_tree ? std::nullopt : std::optional(statm->size);
    generation.memory.taken = now;
    generation.memory.taken_at = std::chrono::system_clock::now();
    generation.memory.source = "proc";
}

void Monitor::take(Generation& generation, const Sample& sample) {
    generation.sample = sample;
    pool_.peaks().take(generation, sample);
    if (generation.pid > 0) return; // our own reading is fresher
    generation.memory.anon = sample.anon;
    generation.memory.rss = sample.rss;
    generation.memory.taken = sample.taken;
    generation.memory.taken_at = std::chrono::system_clock::now();
    generation.memory.source = "agent";
}

void Monitor::judge(Generation& generation, Instant now) {
    MemoryReading& memory = generation.memory;
    memory.limit = limit_of(generation);
    const Duration stale_after = pool_.settings().memory.stale_after;
    const auto used = memory.used(now, stale_after);
    if (used && takes_requests(generation.state)) {
        memory.floor = std::min(memory.floor.value_or(*used), *used);
        memory.low_water.see(now, *used);
    }
    if (generation.key == 0) return;
    const auto pressure = memory.pressure(now, stale_after);
    pool_.net().observe(generation.key, pressure.value_or(-1), pool_.peaks().sight_of(generation, now));
}

std::optional<Bytes> Monitor::limit_of(const Generation& generation) const {
    if (pool_.settings().memory.limit) return pool_.settings().memory.limit;
    std::optional<Bytes> limit;
    const auto share = [&limit](std::optional<Bytes> whole, unsigned sharers) {
        if (!whole) return;
        const Bytes part{whole->count / std::max(1U, sharers)};
        limit = std::min(limit.value_or(part), part);
    };
    if (generation.pid > 0) {
        if (const auto& cgroup = generation.memory.cgroup)
            share(cgroup->limit, pool_.context().sharing(cgroup->limit_path));
        if (host_) share(host_->total, pool_.context().sharing(this_host));
        return limit;
    }
    // Another container: only its agent knows how much it may use, and its siblings there share it.
    if (!generation.agent) return limit;
    const auto whole = generation.sample && generation.sample->cgroup_limit ? generation.sample->cgroup_limit
                                                                            : generation.agent->hello().memory_limit;
    share(whole, pool_.context().sharing(memory_domain(generation)));
    return limit;
}

asio::awaitable<void> Monitor::look_closely(std::shared_ptr<Generation> generation) {
    if (generation->pid <= 0) co_return;
    generation->memory.looked_at = true;
    struct Look {
        std::optional<sense::Rollup> rollup;
        std::optional<sense::Cgroup> cgroup;
        std::optional<Bytes> address_space_limit;
        sense::Opened opened;
    };
    const bool whole_tree = generation->child && !generation->agent_of_server();
    auto read = [reader = reader_, pid = generation->pid, whole_tree] {
        return Look{reader->smaps_rollup(pid), reader->cgroup(pid), reader->address_space_limit(pid),
                    whole_tree ? opened_of_tree(*reader, pid) : reader->opened(pid)};
    };
    const Look look = co_await offload(*pool_.context().threads, std::move(read));
    if (look.rollup) generation->memory.rollup = look.rollup;
    if (look.cgroup) generation->memory.cgroup = look.cgroup;
    generation->memory.address_space_limit = look.address_space_limit;
    generation->open = {look.opened, Clock::now()};
}

asio::awaitable<std::optional<std::uint64_t>> Monitor::oom_kills_now(std::optional<sense::Cgroup> cgroup) {
    if (!cgroup) co_return std::nullopt;
    auto read = [reader = reader_, cgroup] { return reader->oom_kills(*cgroup); };
    const auto kills = co_await offload(*pool_.context().threads, std::move(read));
    // The next death is not explained by this one.
    for (const GenerationPtr& generation : alive(pool_))
        if (generation->memory.cgroup && generation->memory.cgroup->path == cgroup->path)
            generation->memory.cgroup->oom_kills = kills;
    co_return kills;
}

} // namespace plimsoll::fleet
