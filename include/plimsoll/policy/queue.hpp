// Those who wait for a slot: three priorities, the higher always first.
//
// Within a priority the oldest is served first: the fair order, and the one with the shortest tail. Under overload that
// order serves only people who have waited too long already; then the oldest of those who are *fresh* comes first, and of the
// others the newest (LIFO), because its client is the most likely still to be there. When somebody stops being fresh, and
// when he is given up, the gate says (gate_queue.cpp: two and four times what he was to wait at most).
#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "plimsoll/core/time.hpp"
#include "plimsoll/policy/priority.hpp"

namespace plimsoll {

class Queue {
public:
    struct Waiting {
        Ticket ticket = 0;
        Priority priority = Priority::normal;
        Instant arrived{}, deadline = never;
        std::optional<WorkerKey> avoid;
        RouteKey probed = 0; // the route whose probe it is
        CostKey label = 0;
        Side side = Side::any;
    };

    // Tickets are first, first + step, ...: two queues whose tickets must not meet count in different ones.
    explicit Queue(Ticket first = 1, Ticket step = 1) : next_(first), step_(step) {}

    Ticket add(Waiting waiting);                  // gives it its ticket
    std::optional<Waiting> remove(Ticket ticket); // nothing: not here
    std::size_t size() const { return size_; }
    std::size_t size(Priority priority) const { return lines_[index(priority)].size(); }
    std::size_t ahead_of(Priority priority) const; // of this priority and above
    Instant oldest() const;                        // `never` where nobody waits

    // Whom to serve next among those that `may` accepts: null where there is none. `fresh_since`: who arrived before is no
    // longer fresh; the beginning of time where there is no overload.
    template <class May>
    const Waiting* next(Priority priority, Instant fresh_since, May may) const {
        const auto& line = lines_[index(priority)];
        const Waiting* newest_stale = nullptr;
        for (const auto& [ticket, waiting] : line) {
            if (!may(waiting)) continue;
            if (waiting.arrived >= fresh_since) return &waiting;
            newest_stale = &waiting;
        }
        return newest_stale;
    }
    // One of the next few behind him who is wanted on that side; else he himself.
    template <class May>
    const Waiting& wanted_on(Side side, const Waiting& head, May may) const {
        const auto& line = lines_[index(head.priority)];
        auto each = line.upper_bound(head.ticket);
        for (int few = 8; few > 0 && each != line.end(); --few, ++each)
            if (each->second.side == side && may(each->second)) return each->second;
        return head;
    }
    const Waiting* newest(Priority priority) const;
    template <class Look> // look(waiting), the oldest first, while it says true
    void look_through(Priority priority, Look look) const {
        for (const auto& [ticket, waiting] : lines_[index(priority)])
            if (!look(waiting)) return;
    }
    // Those whose deadline has passed, or who arrived at `too_old` or before, are taken out and told. Costs nothing for the others.
    template <class Tell>
    void remove_late(Instant now, Instant too_old, Tell tell) {
        while (!deadlines_.empty() && deadlines_.begin()->first <= now) tell(*remove(deadlines_.begin()->second), true);
        for (auto& line : lines_)
            while (!line.empty() && line.begin()->second.arrived <= too_old) tell(*remove(line.begin()->first), false);
    }
    // The oldest of a line, while judge() says that it goes.
    template <class Judge>
    void remove_oldest_while(Priority priority, Judge judge) {
        auto& line = lines_[index(priority)];
        while (!line.empty() && judge(line.begin()->second)) remove(line.begin()->first);
    }

private:
    std::array<std::map<Ticket, Waiting>, priorities> lines_; // tickets rise, so the first is the oldest
    std::set<std::pair<Instant, Ticket>> deadlines_;          // of those who have one, the soonest first
    std::size_t size_ = 0;
    Ticket next_, step_;
};

} // namespace plimsoll
