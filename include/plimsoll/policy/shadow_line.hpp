// Whom memory admission would have refused, where it is in shadow: the line that enforce would make people wait in, beside the
// real one, in mind only.
//
//   arrive --room--> runs in mind, as long as such a request takes --> its room is free again
//      |---no room-> waits in mind --room--> runs in mind
//      |                 '--- its time is over ---> would have been refused: memory, deadline
//      '---the line stands, or is full -----------> would have been refused: memory, queue_full
//
//   room(account) = limit * (1 - margin) - base - what runs there in mind - what other pools have promised there
//
// In shadow everybody begins at once. Whoever took the real promises for those of enforce would count as refused many who only
// find no room because of others that enforce would not have let in: so who waits here, or was refused, holds no room here, and
// who runs late here holds it when the real one has long ended. How long it runs is what those who need much take in the mean.
//
// A request counts once at most. While all slots are taken in mind, or no worker accepts, it is not memory that one waits for:
// who runs out of time then is forgotten, for what the slots refuse is refused in earnest, and counted there. Strangers wait for
// a reading and not for room (memory_admission.hpp): they are not asked.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <unordered_map>
#include <vector>

#include "plimsoll/core/bytes.hpp"
#include "plimsoll/core/time.hpp"
#include "plimsoll/policy/memory_admission.hpp"
#include "plimsoll/policy/priority.hpp"
#include "plimsoll/policy/queue.hpp"
#include "plimsoll/policy/roster.hpp"

namespace plimsoll {

class ShadowLine {
public:
    struct World { // as the gate sees it now
        const Roster& roster;
        const MemoryAdmission& memory;
        Duration service{};  // what one of those who need much takes
        Duration patience{}; // who comes while the first has waited longer than that is refused
        Duration timeout{};
        std::size_t size = 0; // of the line
        Instant missed{};     // when workers were missing last: until then it was they that one waited for
    };
    struct Request {
        CostKey label = 0;
        Bytes need;
        Priority priority = Priority::normal;
        Instant deadline = never;
        double draw = 0; // at whom to look first
    };
    enum class Verdict : std::uint8_t { begins, waits, refused };
    using Refusals = std::vector<Reason>; // of those who waited, and of the one that arrives

    Verdict arrive(Instant now, const Request& request, const World& world, Refusals& refusals);
    void pass(Instant now, const World& world, Refusals& refusals); // time has passed, or a reading came
    bool idle() const { return line_.size() == 0 && running_.empty(); }

private:
    struct Seat { // what runs at one worker
        unsigned taken = 0;
        Bytes promised;
    };
    struct Running {
        WorkerKey worker = 0;
        Bytes need;
        std::array<DomainKey, most_shared> domains{};
    };
    enum class Room : std::uint8_t { here, full, hopeless, no_slot };

    Room find(Instant now, CostKey label, Bytes need, const World& world, const Member*& where) const;
    bool fits(const Member& member, Bytes need, const MemoryAdmission& memory, bool alone) const;
    void begin(Instant now, CostKey label, Bytes need, const Member& where, Duration service);
    void end(const Running& ended);
    void drop_late(Instant now, const World& world, Refusals& refusals);
    void serve(Instant now, const World& world);
    bool slot_is_free(const World& world) const;
    bool make_room(Priority priority, Refusals& refusals);

    Queue line_;
    std::unordered_map<Ticket, Bytes> needs_; // of those in the line
    std::multimap<Instant, Running> running_; // by when they end
    std::unordered_map<WorkerKey, Seat> seats_;
    std::vector<Bytes> shared_;  // promised, by domain
    std::vector<Instant> tried_; // by label: when one that never fits was let in last
    std::size_t first_ = 0;      // the worker to look at first
};

} // namespace plimsoll
