// How a worker died, in one sentence: its signal or exit code, and whether the kernel killed it for memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "fleet/process.hpp"
#include "sense/memory.hpp"

namespace plimsoll::fleet {

struct Death {
    std::string verdict; // "app-2 (pid 12) was killed by the kernel: out of memory ..."
    bool out_of_memory = false;
    std::uint64_t out_of_memory_kills = 0; // of its cgroup, after it; where it was one of them
    unsigned in_flight = 0;
};
// cgroup: that it lived in, as last seen; kills_now: its count of out-of-memory kills after the death. in_flight: requests
// that died with it.
Death explain_death(const std::string& worker, const std::string& process, const std::optional<Exit>& exit,
                    const std::optional<sense::Cgroup>& cgroup, std::optional<std::uint64_t> kills_now,
                    std::optional<Bytes> memory, unsigned in_flight);

} // namespace plimsoll::fleet
