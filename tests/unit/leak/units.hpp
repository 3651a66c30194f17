// Units that the tests of the leak detector count in.
#pragma once

namespace plimsoll::leak {

inline constexpr double mib = 1 << 20; // bytes
inline constexpr double hour = 3600;   // seconds

} // namespace plimsoll::leak
