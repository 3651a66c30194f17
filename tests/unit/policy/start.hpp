// When the tests of policies begin: any instant but the clock's zero, which a policy could take for "never yet".
#pragma once

#include "plimsoll/core/time.hpp"

namespace plimsoll {

inline constexpr Instant start{std::chrono::hours{1}};

} // namespace plimsoll
