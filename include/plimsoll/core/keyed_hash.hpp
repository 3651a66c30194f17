// SipHash-1-3 (Aumasson and Bernstein): a hash that who does not know the key cannot steer.
//
// Clients choose the texts that tables are indexed by. With a plain hash they could choose many that fall into one place
// and push out everybody else's entries; with a key drawn at the start they can't tell which texts those are.
#pragma once

#include <cstdint>
#include <string_view>

namespace plimsoll {

struct HashKey {
    std::uint64_t low = 0, high = 0;
};
std::uint64_t keyed_hash(HashKey key, std::string_view text);

} // namespace plimsoll
