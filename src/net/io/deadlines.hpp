// Deadlines for thousands of sockets at the price of two pointer swaps.
//
// Every phase of a connection has one of a handful of spans (10 s for a head, 75 s idle ...). Those with the same span
// expire in the order in which they were armed, so each span is a plain list: arming appends, disarming unlinks, and a
// tick looks at the heads only. Coarse on purpose: late by up to one tick, never early.
//
// What a client chooses is no such span: everybody could have one of his own. Those deadlines are times, in an ordered tree.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "net/io/source.hpp"

namespace plimsoll::net::io {

struct DeadlineList {
    Duration span{};
    Source* first = nullptr;
    Source* last = nullptr;
};

class Deadlines {
public:
    void arm(Source& source, Duration span, Instant now); // again: moves it
    void arm_at(Source& source, Instant when);
    static void disarm(Source& source);
    static bool armed(const Source& source) { return source.list_ || source.at_times_of_; }

    void expire(Instant now);            // calls expired() of those that are due
    std::optional<Instant> next() const; // the earliest one

private:
    DeadlineList& list_for(Duration span);
    std::vector<std::unique_ptr<DeadlineList>> lists_; // a handful; empty ones are used again
    std::multimap<Instant, Source*> times_;
};

} // namespace plimsoll::net::io
