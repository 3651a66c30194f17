// What the fleet tells the gate of its workers' memory, and what it asks about when to read it again.
#include <algorithm>

#include "plimsoll/policy/gate.hpp"

namespace plimsoll {

void Gate::observe(Instant now, WorkerKey worker, double pressure, const MemorySight& sight) {
    Member* found = roster_.find(worker);
    if (!found) return;
    memory_.observe(found->memory, sight);
    // What requests in flight may hold of it is admission's business, and gone when they are.
    const Bytes passing = found->memory.running.promised();
    const bool partly = pressure > 0 && sight.use && sight.use->count > 0;
    const double lasting =
        partly ? std::max(0.0, 1 - static_cast<double>(passing.count) / static_cast<double>(sight.use->count)) : 1.0;
    // Where its cgroup or its host is full, whoever filled it, it has no room either.
    const double shared = memory_.shared_pressure(found->memory);
    const bool known = pressure >= 0 || shared >= settings_.load_line.line;
    roster_.set_pressure(*found, known ? std::max(pressure * lasting, shared) : pressure);
    found->pressure_of = pressure_of(*found, shared);
    found->line.observe(now, settings_.load_line, found->pressure);
    roster_.set_takes(*found, takes(*found));
}

PressureOf Gate::pressure_of(const Member& member, double shared) const {
    if (member.pressure < 0) return PressureOf::unknown;
    if (shared < member.pressure) return PressureOf::worker;
    MemoryAdmission::Place without_host;
    without_host.domains = member.memory.domains;
    without_host.domains[of_host] = 0;
    return memory_.shared_pressure(without_host) < shared ? PressureOf::host : PressureOf::cgroup;
}

void Gate::observe_domain(DomainKey domain, std::optional<Bytes> use, std::optional<Bytes> limit) {
    memory_.observe_domain(domain, use, limit);
}

void Gate::about_to_read(WorkerKey worker) {
    if (Member* found = roster_.find(worker)) found->memory.running.about_to_read();
}

std::vector<CostKey> Gate::rose(Instant now, WorkerKey worker, const PeakReading& reading) {
    Member* found = roster_.find(worker);
    return found ? memory_.rose(now, found->memory, reading) : std::vector<CostKey>{};
}

void Gate::shows(Instant now, WorkerKey worker, Bytes holds) {
    if (Member* found = roster_.find(worker)) memory_.shows(now, found->memory, holds);
}

bool Gate::quiet(Instant now, WorkerKey worker) const {
    const Member* found = roster_.find(worker);
    return found && memory_.quiet(now, found->memory);
}

bool Gate::needs_memory(Instant now, CostKey label) const {
    return settings_.memory_mode == Mode::enforce && memory_.weighs(now, label);
}

bool Gate::strangers_run(Instant now, WorkerKey worker) const {
    const Member* found = roster_.find(worker);
    return found && memory_.strangers_run(now, found->memory);
}

bool Gate::worth_reading(Instant now, WorkerKey worker, Instant last_reading, Duration usual) const {
    const Member* found = roster_.find(worker);
    return found && settings_.memory_mode != Mode::off &&
           memory_.worth_reading(now, found->memory, last_reading, usual);
}

const MemoryAdmission::Place* Gate::memory_of(WorkerKey worker) const {
    const Member* found = roster_.find(worker);
    return found ? &found->memory : nullptr;
}

} // namespace plimsoll
