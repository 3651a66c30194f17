// Which of the free workers gets the request.
//
//   below the load line before above it; then least loaded by in flight / slots; then lowest pressure in steps of 5 %; then
//   by chance
//
// Above 32 free workers two of them are drawn and the better one taken: nearly as even as looking at all (Mitzenmacher), at
// a cost that does not grow. A worker that has just begun to serve is taken for a busy one at first, and for itself more and
// more often (slow start): its caches, its pools of connections and its imports are still cold.
//
// While an experiment runs (leak/experiment.hpp) some workers are home to some labels. A worker on the other side counts as if
// it had one request and a half more in flight, but for less than a cold one: the wish decides between workers that are
// alike, never makes anybody wait, and gives no worker more than one request beyond its share.
#pragma once

#include <optional>
#include <span>

#include "plimsoll/policy/roster.hpp"

namespace plimsoll {

struct PickWish {
    std::optional<WorkerKey> avoid;
    double draw = 0.5; // chance, in [0,1)
    double load_line = 0.85;
    Duration slow_start{};
    Side side = Side::any;
    unsigned least_takes = 0; // who takes fewer priorities is left out (roster.hpp)
};
// Where the requests of a session go, as long as there is room (affinity.hpp). Null: nobody's home, or all too loaded.
Member* home_of(const Roster& roster, std::uint64_t key, const PickWish& wish);
Member* pick(std::span<Member* const> free, const PickWish& wish, Instant now); // null: none

} // namespace plimsoll
