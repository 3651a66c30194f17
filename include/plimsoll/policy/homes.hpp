// Which workers are home to a key, remembered.
//
// To score a thousand places takes microseconds, and the gate's lock must not be held for that with each request. So the first
// four places of each bucket are kept until a worker begins or ceases to accept: then each bucket is scored anew by the first
// request that needs it. 640 KB, and nothing before the first key.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "plimsoll/policy/roster.hpp"

namespace plimsoll {

class Homes {
public:
    // The best first, whether they are free or not; fewer where fewer accept. Valid until the roster changes.
    std::span<Member* const> first(const Roster& roster, std::size_t bucket);

private:
    struct Ranking {
        std::uint64_t as_of = 0; // Roster::changes()
        std::array<Member*, 4> first{};
    };
    static void rank(const Roster& roster, std::size_t bucket, Ranking& ranking);

    std::vector<Ranking> rankings_; // by bucket
};

} // namespace plimsoll
