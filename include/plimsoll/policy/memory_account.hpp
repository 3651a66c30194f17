// Room under one memory limit: a worker's own, or one that several workers share (their cgroup's, the host's).
//
//   base in [use - promised, use]          at each reading; it moves only as far as it must
//   fits(need): base + promised + need <= limit * (1 - margin)        promised: by all who share it
//
// A reading does not tell how much of what requests in flight were promised they have taken already: adding the promises to
// the use would count it twice, and two requests that fit would go one after the other. But what is held without them, the
// base, lies between the use and the use less all promises since the reading before, and that is enough to follow it.
// A limit or a use that is not known refuses nobody; needs below 1/64 of the limit are the margin's business.
#pragma once

#include <optional>

#include "plimsoll/core/bytes.hpp"

namespace plimsoll {

class MemoryAccount {
public:
    static constexpr double margin = 0.05;
    static constexpr std::int64_t negligible = 64; // so many such needs are the whole limit

    void observe(std::optional<Bytes> use, std::optional<Bytes> limit); // unset: not known, or too old
    void promise(Bytes need);
    void end(Bytes need);                  // of a promise
    void keeps(Bytes amount);              // of what was promised, it stays: the next reading will show it
    void promised_elsewhere(Bytes others); // by gates that share it, all together

    bool known() const { return known_; }
    bool fits(Bytes need) const;
    bool ever_fits(Bytes need) const; // with no promise to anybody
    double pressure() const;          // the base's share of the limit; negative where it is not known
    Bytes headroom() const;           // 0 where it is not known
    Bytes limit() const { return limit_; }
    Bytes base() const { return base_; }
    Bytes promised() const { return promised_; }
    Bytes promised_by_others() const { return others_; }

private:
    Bytes room() const; // beside the base

    Bytes limit_, base_, promised_, others_;
    Bytes most_promised_; // since the reading before, with what others did
    bool known_ = false;
};

} // namespace plimsoll
