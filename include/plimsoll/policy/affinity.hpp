// Session affinity: requests with the same key (a cookie's or a field's value) go to the same worker, as long as it has room.
//
//   bucket    = the first 14 bits of the key's hash
//   home(key) = the place with the highest score(bucket, place)        rendezvous hashing (Thaler and Ravishankar, 1998)
//   too loaded: in flight >= max(ceil(1.25 * (all in flight + 1) / workers), slots / 2)
//               then the place with the next score                      bounded loads (Mirrokni et al., 2018)
//
// When a worker comes or goes only its own keys move. Scored is the place in the pool and not the process in it, so a recycle
// moves nobody. The half of the slots is ours: a browser's six requests at once should not be spread over a fleet at rest.
// A key that finds no home gets any worker, and memory comes first: a worker above the load line is home to nobody while
// another one is below. Buckets are there so that the first places of each can be remembered (homes.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace plimsoll {

std::uint64_t affinity_hash(std::string_view text); // of a key, and of a place's name; the same in every process
inline constexpr std::size_t affinity_buckets = 1 << 14;
std::size_t affinity_bucket(std::uint64_t key);
std::uint64_t affinity_score(std::size_t bucket, std::uint64_t place);

// The number in flight from which a worker is too loaded to be anybody's home.
std::size_t affinity_bound(std::size_t all_in_flight, std::size_t workers, std::size_t slots);

} // namespace plimsoll
