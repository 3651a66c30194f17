#include "fleet/heap_trim.hpp"

#include <algorithm>
#include <cmath>

#include "fleet/leak_life.hpp"
#include "fleet/recycler.hpp"
#include "fleet/wait.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

constexpr Duration drain_bound = 2s; // whoever is busy for longer is trimmed as it serves
constexpr Duration trim_deadline = 10s;
constexpr double grown_anew = 6 << 20; // bytes, since the last one

// The anonymous bytes of {"memory": {"before": {"anon": ...}, "after": {...}}}.
std::optional<Bytes> anon_of(const boost::json::object& data, const char* when) {
    const auto* memory = data.if_contains("memory");
    const auto* moment = memory != nullptr && memory->is_object() ? memory->get_object().if_contains(when) : nullptr;
    const auto* anon = moment != nullptr && moment->is_object() ? moment->get_object().if_contains("anon") : nullptr;
    return anon != nullptr && anon->is_int64() ? std::optional(Bytes{anon->get_int64()}) : std::nullopt;
}

// However it ends, the worker takes requests again and is free for captures.
struct Turn {
    Pool& pool;
    Worker& worker;
    Generation& generation;
    bool& running;
    ~Turn() {
        running = worker.in_capture = generation.aside = false;
        pool.update_acceptance(worker, generation);
    }
};

} // namespace

std::vector<std::string> HeapTrim::incidents(const std::vector<std::string>& workers) const {
    std::vector<std::string> ids;
    for (const std::string& worker : workers)
        if (const auto incident = incident_of(worker)) ids.push_back(incident->id());
    return ids;
}

bool HeapTrim::in_vain(const LeakLife& life) const {
    return std::ranges::any_of(state_->lives,
                               [&](const State::Life& each) { return each.in_vain && each.name == life.name(); });
}

std::shared_ptr<Incident> HeapTrim::incident_of(const std::string& worker) const {
    const auto& lives = state_->lives;
    const auto known = std::ranges::find_if(
        lives.rbegin(), lives.rend(), [&](const State::Life& each) { return each.worker == worker && each.incident; });
    return known == lives.rend() ? nullptr : known->incident;
}

void HeapTrim::look(Pool& pool, const std::string& name, const GenerationPtr& generation, double grown, bool act,
                    Instant now) {
    if (state_->running || !generation->leak) return;
    const WorkerPtr worker = pool.find(name);
    const auto used = generation->memory.used(now, pool.settings().memory.stale_after);
    if (!worker || worker->in_capture || worker->held || pool.recycler().recycles(*worker) || !used) return;
    const std::string life = generation->leak->name();
    auto known = std::ranges::find(state_->lives, life, &State::Life::name);
    if (known == state_->lives.end()) {
        if (state_->lives.size() == most_lives) state_->lives.erase(state_->lives.begin());
        auto incident = incident_of(name);
        state_->lives.push_back({.name = life, .worker = name, .incident = std::move(incident)});
        known = std::prev(state_->lives.end());
    }
    const bool anew = known->left.count == 0 || static_cast<double>(used->count - known->left.count) >= grown_anew;
    if (act && (known->in_vain || now < known->not_before || !anew || !generation->agent_connected())) return;
    // A worker has one story, closed between two chapters, and another one where that was swept.
    if (act && known->incident) known->incident = pool.context().journal.reopen(known->incident->id());
    const bool told = known->incident != nullptr;
    if (!told)
        known->incident =
            pool.context().journal.open({pool.settings().name, name, "fragmentation",
                                         name + " has grown by " + to_string(Bytes{std::llround(grown)}) +
                                             " that nothing uses: holes in its heap, which malloc_trim may give back",
                                         generation->number});
    if (!act) {
        if (told) return;
        known->incident->note("nothing is done: [pool.leak] policy is not \"act\"");
        known->incident->close();
        return;
    }
    state_->running = worker->in_capture = true;
    spawn(pool.context().control, "trim " + name,
          run(pool.shared_from_this(), worker, generation, state_, life, known->incident, grown));
}

asio::awaitable<void> HeapTrim::run(std::shared_ptr<Pool> pool, WorkerPtr worker, GenerationPtr generation,
                                    std::shared_ptr<State> state, std::string life, std::shared_ptr<Incident> story,
                                    double grown) {
    const Turn turn{*pool, *worker, *generation, state->running};
    const bool another = pool->accepting() > (worker->accepts() ? 1U : 0U);
    const bool aside = another && generation->address && pool->recycler().why_not_drain_first(*worker).empty();
    if (aside) {
        generation->aside = true;
        pool->update_acceptance(*worker, *generation);
        const auto idle = [pool, generation] { return generation->gone() || pool->in_flight(*generation) == 0; };
        co_await until(idle, drain_bound);
    }
    boost::json::object nothing;
    const CommandResult result = co_await generation->agent->command("trim", std::move(nothing), trim_deadline);
    const auto known = std::ranges::find(state->lives, life, &State::Life::name);
    if (known == state->lives.end()) { // many others came meanwhile
        story->close();
        co_return;
    }
    Incident& incident = *story;
    known->not_before = Clock::now() + rest;
    const auto before = anon_of(result.data, "before"), after = anon_of(result.data, "after");
    if (!result.ok || !before || !after) {
        incident.note("malloc_trim was not possible: " + (result.error.empty() ? "it told no numbers" : result.error));
        known->in_vain = true;
    } else {
        const Bytes back{std::max<std::int64_t>(before->count - after->count, 0)};
        ++state->count;
        if (generation->leak) generation->leak->forget_memory();
        state->given_back = state->given_back + back;
        known->left = *after;
        known->in_vain = static_cast<double>(back.count) < worthwhile * grown;
        const std::string numbers = "malloc_trim gave back " + to_string(back) + " of " + worker->id + ", generation " +
                                    std::to_string(generation->number) + ": " + to_string(*before) + " before, " +
                                    to_string(*after) + " after";
        incident.note(numbers + (aside ? ", while others served" : ", while it served"));
        incident.verdict(known->in_vain ? numbers + "; the rest are holes in Python's own arenas, which only a recycle "
                                                    "gives back"
                                        : numbers);
        incident.details["trim"] = {{"before", before->count}, {"after", after->count}, {"grown", grown}};
        if (const auto* info = result.data.if_contains("mallinfo")) incident.details["mallinfo"] = *info;
        if (const auto* info = result.data.if_contains("mallinfo_after_trim"))
            incident.details["mallinfo_after_trim"] = *info;
    }
    incident.close();
}

} // namespace plimsoll::fleet
