#include "plimsoll/fleet/idle_looks.hpp"

#include <algorithm>

namespace plimsoll {

IdleLooks::Due IdleLooks::due(Instant now) const {
    const Duration since = now - std::max(looked_, read_);
    if (since >= usual) return Due::usual;
    const bool watched = rose_ != Instant{} && now - rose_ <= after_a_rise;
    return watched && since >= step ? Due::soon : Due::no;
}

bool IdleLooks::moved(Instant now, Bytes highest, Bytes holds) {
    looked_ = now;
    return highest > left_ + a_move || holds + a_move < left_;
}

void IdleLooks::read(Instant now, Bytes highest, Bytes holds) {
    if (was_read() && highest > std::min(left_, holds) + a_rise) rose_ = now;
    read_ = now;
    left_ = holds;
}

} // namespace plimsoll
