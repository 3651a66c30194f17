// The workers that rest or are tripped, and when time alone changes that of one of them.
//
//   put --> [ all of them | heap of (instant, worker) ] --due(now)--> whoever's instant has come, the earliest first
//
// Asked at every decision, when a whole host of workers may be resting: nothing is walked through, and asking costs a look
// at the earliest instant. An entry of the heap that was overtaken (its worker passes again, was removed, or is to be looked at
// at another time) is passed over when its instant comes; there are as many entries as workers, and a few that were overtaken.
#pragma once

#include <vector>

#include "plimsoll/core/time.hpp"
#include "plimsoll/policy/roster.hpp"

namespace plimsoll {

class Sidelined {
public:
    void put(Member& member, Instant now); // to be called after each change of it; again is no matter
    void remove(Member& member);
    void look_soon(Member& member); // something else than time changed it: it is due at once
    // One whose instant has come, or null. Its rest is over if it was; the caller judges it, and puts it back or removes it.
    Member* due(Instant now, const Roster& roster);

    std::size_t size() const { return all_.size(); }
    auto begin() const { return all_.begin(); }
    auto end() const { return all_.end(); }

private:
    void wake_at(Instant at, Member& member);
    struct Wake {
        Instant at;
        WorkerKey worker;
        // The heap's top is the greatest: the earliest.
        bool operator<(const Wake& other) const { return at > other.at; }
    };
    std::vector<Member*> all_;
    std::vector<Wake> wakes_;
};

} // namespace plimsoll
