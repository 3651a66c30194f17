// How much of the last ten seconds everybody stood still for want of memory (PSI, full avg10): the worst of the host and of the
// cgroups that a pool's workers live in. It is late where there is no swap, since by then the kernel already searches for pages
// instead of serving; so it is the last brake, and headroom the first.
#pragma once

#include <optional>
#include <span>

#include "sense/memory.hpp"

namespace plimsoll::fleet {

// 0 to 1; nothing: neither the host nor any cgroup tells.
std::optional<double> read_stall(const sense::Reader& reader, std::span<const sense::Cgroup> cgroups);

} // namespace plimsoll::fleet
