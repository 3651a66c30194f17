// How often: the generic cell rate algorithm (GCRA), and a table of bounded size that holds one time for each key.
//
//   T = time that one request is worth (100/s: 10 ms)        tat' = max(tat, now) + T * cost
//   allowed if tat' - now <= T * (burst + 1)                 retry after tat' - now - T * (burst + 1)
//
// The one number a key needs is `tat`, the time at which its debts are paid. It does what a token bucket does in half the
// memory and without a timer, and a key whose time has passed is the same as one that was never seen. That is what makes the
// table bounded: where there is no room, the key with the oldest time goes first, and nothing is lost unless its time lies ahead.
// A refused request costs nothing, so who asks too often is served at his rate and not locked out.
//
// The table is set-associative (four entries of 16 bytes, one cache line): no list, no allocation. A new key goes to the emptier
// of two sets (two-choice hashing), and there is a set for every three keys, 21.3 bytes a key. Of as many keys as were asked for
// this loses 0.7 %, for keys do not spread evenly; of a million, all in debt:
//
//   one set a key, four ways   16 bytes: 19.6 %    24 bytes: 8.0 %    32 bytes: 3.7 %
//   one set a key, eight ways  16 bytes: 14.0 %    24 bytes: 3.2 %    32 bytes: 0.8 %
//   the emptier of two, four   16 bytes:  8.0 %    20 bytes: 1.3 %    21.3 bytes: 0.7 %    24 bytes: 0.15 %
//
// The two cache lines are fetched at once: about one miss a decision. It knows keys by 64-bit hashes; make them with keyed_hash(),
// or clients may choose whom to push out.
// Plain object: the shell splits it into stripes, each behind a lock of its own (src/net/limits.hpp).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "plimsoll/core/time.hpp"

namespace plimsoll {

struct RateRule {
    Duration interval = std::chrono::seconds{1}; // T
    unsigned burst = 0;                          // requests above the rate that may come at once
    unsigned cost = 1;                           // of one request; at most burst + 1, or none ever passes

    Duration window() const { return interval * (static_cast<Duration::rep>(burst) + 1); }
    static RateRule per_second(double rate, unsigned burst, unsigned cost = 1); // rate > 0
};

struct RateVerdict {
    bool allowed = false;
    unsigned remaining = 0; // whole requests of cost 1 that would still pass now
    Duration retry_after{}; // refused: how long until this request would pass
    Duration whole_after{}; // how long until the whole burst is there again
};

// When to come again, told to one of many who are refused by one count: in the same second they would all come back together, and all
// but one be refused again. Later by up to half, in the whole seconds in which it is told; `draw` in [0, 1).
Duration spread_upwards(Duration retry_after, double draw);

// Of a request that passed, what is true again once it was given back.
RateVerdict given_back(const RateRule& rule, const RateVerdict& passed);

// A rule and a verdict in the whole seconds of draft-ietf-httpapi-ratelimit-headers: `requests` in `seconds`; `remaining` are
// left of them, and all are there again after `reset`. A window of less than a second is told as the rate of one second, and
// what remains as what passes within it: "100/s" without a burst would read "1 a second" otherwise. Who was refused is told what
// would pass at once.
struct RateQuota {
    std::uint64_t requests = 0, seconds = 1, remaining = 0, reset = 1;
};
RateQuota quota_of(const RateRule& rule, const RateVerdict& verdict);

class RateTable {
public:
    explicit RateTable(std::size_t keys); // so many are remembered, all but 1 % at worst

    RateVerdict spend(Instant now, std::uint64_t key, const RateRule& rule);
    // A request that passed here was refused elsewhere: it shall not count.
    void give_back(std::uint64_t key, const RateRule& rule);
    // So much is owed, as somebody else counted it.
    void note(Instant now, std::uint64_t key, Duration owed);

    std::size_t capacity() const { return sets_.size() * ways; }
    std::uint64_t forgotten() const { return forgotten_; } // keys that went though their time lay ahead
    static constexpr std::size_t ways = 4, keys_a_set = 3; // room for one more, since they do not spread evenly

private:
    struct Entry {
        std::uint64_t key = 0; // 0: empty
        Duration::rep tat = 0;
    };
    static constexpr std::size_t cache_line = 64;
    struct alignas(cache_line) Set {
        std::array<Entry, ways> entries;
    };
    static_assert(sizeof(Set) == cache_line);
    using Sets = std::array<Set*, 2>; // where a key may be; the same one twice, now and then

    Sets sets_of(std::uint64_t key);
    static Entry* find(const Sets& sets, std::uint64_t key);
    Entry& entry_of(std::uint64_t key, Duration::rep now);

    std::vector<Set> sets_;
    std::uint64_t forgotten_ = 0;
};

} // namespace plimsoll
