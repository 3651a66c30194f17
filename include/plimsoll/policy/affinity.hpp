// Session affinity: requests with the same key (a cookie's or a field's value) go to the same worker, as long as it has room.
//
//   home(key) = the place with the highest score(key, place)           rendezvous hashing (Thaler and Ravishankar, 1998)
//   too loaded: in flight >= max(ceil(1.25 * (all in flight + 1) / workers), slots / 2)
//               then the place with the next score                      bounded loads (Mirrokni et al., 2018)
//
// When a worker comes or goes only its own keys move. Scored is the place in the pool and not the process in it, so a recycle
// moves nobody. The half of the slots is ours: a browser's six requests at once should not be spread over a fleet at rest.
// A key that finds no home gets any worker, and memory comes first: a worker above the load line is home to nobody while
// another one is below.
//
// To score thousands of places takes microseconds, in which the gate's lock is held. So of more than `affinity_reach` workers
// those are scored that follow the key on a ring of all places (Karger et al., 1997): then about as many keys move besides as
// were the worker's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace plimsoll {

std::uint64_t affinity_hash(std::string_view text); // of a key, and of a place's name; the same in every process
std::uint64_t affinity_score(std::uint64_t key, std::uint64_t place);
std::uint64_t affinity_spot(std::uint64_t hash); // where a key, or a place, is on the ring
inline constexpr std::size_t affinity_reach = 256;

// The number in flight from which a worker is too loaded to be anybody's home.
std::size_t affinity_bound(std::size_t all_in_flight, std::size_t workers, std::size_t slots);

} // namespace plimsoll
