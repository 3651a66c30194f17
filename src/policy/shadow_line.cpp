#include "plimsoll/policy/shadow_line.hpp"

#include <algorithm>

namespace plimsoll {

namespace {

// Of the line and of the workers: a decision's cost is bounded.
constexpr std::size_t looked_at = 64, most_compared = 64;

bool has_room(const MemoryAccount& account, Bytes promised, Bytes need) {
    if (!account.known() || need.count <= account.limit().count / MemoryAccount::negligible) return true;
    const Bytes usable{
        static_cast<std::int64_t>(static_cast<double>(account.limit().count) * (1 - MemoryAccount::margin))};
    return account.base() + promised + need <= usable;
}

} // namespace

// alone: if nobody else ran there.
bool ShadowLine::fits(const Member& member, Bytes need, const MemoryAdmission& memory, bool alone) const {
    const auto seat = seats_.find(member.key);
    const Bytes here = alone || seat == seats_.end() ? Bytes{} : seat->second.promised;
    if (!has_room(member.memory.own, here, need)) return false;
    return std::ranges::all_of(member.memory.domains, [&](DomainKey key) {
        const MemoryAccount* account = memory.domain(key);
        if (!account) return true;
        const Bytes mine = key < shared_.size() ? shared_[key] : Bytes{};
        return has_room(*account, alone ? Bytes{} : mine + account->promised_by_others(), need);
    });
}

// What MemoryAdmission::ask() says, of the best of the workers, with what runs in mind instead of what really does.
ShadowLine::Room ShadowLine::find(Instant now, CostKey label, Bytes need, const World& world,
                                  const Member*& where) const {
    const auto& all = world.roster.all();
    bool slot = false, hopeful = false;
    for (std::size_t i = 0; i < std::min(all.size(), most_compared); ++i) {
        const Member& each = *all[(first_ + i) % all.size()];
        if (!each.accepting) continue;
        const auto seat = seats_.find(each.key);
        if (seat != seats_.end() && seat->second.taken >= each.slots) continue;
        slot = true;
        where = &each;
        if (fits(each, need, world.memory, false)) return Room::here;
        hopeful = hopeful || fits(each, need, world.memory, true);
    }
    if (!slot) return Room::no_slot;
    if (hopeful) return Room::full;
    const Instant tried = label < tried_.size() ? tried_[label] : Instant{};
    if (now - tried < MemoryAdmission::try_again) return Room::hopeless;
    return running_.empty() ? Room::here : Room::full;
}

bool ShadowLine::slot_is_free(const World& world) const {
    const Member* where = nullptr;
    return find({}, 0, {}, world, where) == Room::here;
}

void ShadowLine::begin(Instant now, CostKey label, Bytes need, const Member& where, Duration service) {
    if (tried_.size() <= label) tried_.resize(label + std::size_t{1});
    tried_[label] = now;
    Seat& seat = seats_[where.key];
    ++seat.taken;
    seat.promised = seat.promised + need;
    for (const DomainKey key : where.memory.domains) {
        if (key == 0) continue;
        if (shared_.size() <= key) shared_.resize(key + std::size_t{1});
        shared_[key] = shared_[key] + need;
    }
    running_.emplace(now + service, Running{where.key, need, where.memory.domains});
}

void ShadowLine::end(const Running& ended) {
    const auto seat = seats_.find(ended.worker);
    seat->second.promised = seat->second.promised - ended.need;
    if (--seat->second.taken == 0) seats_.erase(seat);
    for (const DomainKey key : ended.domains)
        if (key != 0) shared_[key] = shared_[key] - ended.need;
}

ShadowLine::Verdict ShadowLine::arrive(Instant now, const Request& request, const World& world, Refusals& refusals) {
    pass(now, world, refusals);
    if (const std::size_t all = world.roster.all().size())
        first_ = static_cast<std::size_t>(request.draw * static_cast<double>(all)) % all;
    // Nobody overtakes those who wait before it, but who waits in vain.
    Instant oldest = never;
    const Member* where = nullptr;
    for (std::size_t each = 0, left = looked_at; each <= index(request.priority) && left > 0; ++each)
        line_.look_through(static_cast<Priority>(each), [&](const Queue::Waiting& waiting) {
            const bool before_us = waiting.label == request.label ||
                                   find(now, waiting.label, needs_.at(waiting.ticket), world, where) != Room::hopeless;
            if (before_us) oldest = std::min(oldest, waiting.arrived);
            return !before_us && --left > 0;
        });
    const Room room = find(now, request.label, request.need, world, where);
    if (oldest == never && room == Room::here) {
        begin(now, request.label, request.need, *where, world.service);
        return Verdict::begins;
    }
    if (room != Room::no_slot && oldest != never && now - std::max(oldest, world.missed) > world.patience) {
        refusals.push_back(Reason::memory);
        return Verdict::refused;
    }
    if (line_.size() >= world.size && !make_room(request.priority, refusals)) {
        refusals.push_back(Reason::queue_full);
        return Verdict::refused;
    }
    Queue::Waiting waiting;
    waiting.priority = request.priority;
    waiting.arrived = now;
    waiting.deadline = request.deadline;
    waiting.label = request.label;
    needs_.emplace(line_.add(waiting), request.need);
    return Verdict::waits;
}

// Its youngest of a lower priority is given up, as the real line does.
bool ShadowLine::make_room(Priority priority, Refusals& refusals) {
    for (std::size_t lowest = priorities; lowest-- > index(priority) + 1;) {
        const Queue::Waiting* newest = line_.newest(static_cast<Priority>(lowest));
        if (!newest) continue;
        refusals.push_back(Reason::queue_full);
        const Ticket ticket = newest->ticket;
        needs_.erase(ticket);
        line_.remove(ticket);
        return true;
    }
    return false;
}

// In the order in which things would have happened, however rarely anybody looks.
void ShadowLine::pass(Instant now, const World& world, Refusals& refusals) {
    while (!running_.empty() && running_.begin()->first <= now) {
        const auto [when, ended] = *running_.begin();
        drop_late(when, world, refusals);
        running_.erase(running_.begin());
        end(ended);
        serve(when, world);
    }
    drop_late(now, world, refusals);
    serve(now, world);
}

void ShadowLine::drop_late(Instant now, const World& world, Refusals& refusals) {
    std::optional<bool> for_memory; // asked for the first of them: they change nothing of it
    line_.remove_late(now, now - world.timeout, [&](const Queue::Waiting& each, bool late) {
        if (!for_memory) for_memory = slot_is_free(world);
        if (*for_memory) refusals.push_back(late ? Reason::deadline : Reason::memory);
        needs_.erase(each.ticket);
    });
}

// The oldest of the highest priority that fit. Behind one that does not fit now nobody begins, or it might wait for ever.
void ShadowLine::serve(Instant now, const World& world) {
    bool stopped = false;
    while (!stopped && line_.size() > 0) {
        const Queue::Waiting* found = nullptr;
        const Member* where = nullptr;
        std::size_t left = looked_at;
        for (const auto priority : {Priority::critical, Priority::normal, Priority::sheddable}) {
            if (found || stopped || left == 0) break;
            line_.look_through(priority, [&](const Queue::Waiting& waiting) {
                switch (find(now, waiting.label, needs_.at(waiting.ticket), world, where)) {
                case Room::here: found = &waiting; break;
                case Room::full:
                case Room::no_slot: stopped = true; break;
                case Room::hopeless: break;
                }
                return !found && !stopped && --left > 0;
            });
        }
        if (!found) return;
        const auto need = needs_.extract(found->ticket);
        const auto taken = *line_.remove(found->ticket);
        begin(now, taken.label, need.mapped(), *where, world.service);
    }
}

} // namespace plimsoll
