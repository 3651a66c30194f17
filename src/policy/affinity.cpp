#include "plimsoll/policy/affinity.hpp"

#include <algorithm>

namespace plimsoll {

namespace {

std::uint64_t mixed(std::uint64_t z) { // the finalizer of splitmix64
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

} // namespace

std::uint64_t affinity_hash(std::string_view text) { // FNV-1a, whose high bits need the mixing
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return mixed(hash);
}

std::uint64_t affinity_score(std::uint64_t key, std::uint64_t place) { return mixed(key + 0x9e3779b97f4a7c15 * place); }

std::uint64_t affinity_spot(std::uint64_t hash) { return mixed(hash); }

std::size_t affinity_bound(std::size_t all_in_flight, std::size_t workers, std::size_t slots) {
    const std::size_t share = (5 * (all_in_flight + 1) + 4 * workers - 1) / (4 * workers);
    return std::max(share, slots / 2);
}

} // namespace plimsoll
