#include "plimsoll/policy/idle_rise.hpp"

#include <algorithm>

namespace plimsoll {

IdleRise::Seen IdleRise::read(Instant now, Bytes rest, Bytes highest) {
    if (highest <= rest) {
        over();
        return {};
    }
    if (!began_ || now - *began_ > longest || now - seen_ > pause) {
        began_ = now;
        from_ = rest;
        whole_ = {};
    }
    seen_ = now;
    const Bytes before = whole_;
    whole_ = std::max(before, highest - from_);
    return {before, whole_};
}

} // namespace plimsoll
