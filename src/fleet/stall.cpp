#include "fleet/stall.hpp"

#include <algorithm>

namespace plimsoll::fleet {

std::optional<double> read_stall(const sense::Reader& reader, std::span<const sense::Cgroup> cgroups) {
    std::optional<double> worst;
    const auto consider = [&worst](const std::optional<sense::Pressure>& pressure) {
        if (pressure) worst = std::max(worst.value_or(0), pressure->full_avg10 / 100);
    };
    consider(reader.pressure());
    for (const sense::Cgroup& cgroup : cgroups) consider(reader.pressure(cgroup));
    return worst;
}

} // namespace plimsoll::fleet
