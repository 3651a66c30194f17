// Over how many seeds an invariant is tried: 10,000 in the release build, as many as PLIMSOLL_SEEDS says, or `where_slow`: without
// -O, or under a sanitizer, all is ten to fifty times slower and looks for other things.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace plimsoll::sim {

inline std::uint64_t seeds(std::uint64_t where_slow) {
    if (const char* wanted = std::getenv("PLIMSOLL_SEEDS")) return std::strtoull(wanted, nullptr, 10);
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    (void)where_slow;
    return 10'000;
#else
    return where_slow;
#endif
}

} // namespace plimsoll::sim
