// Numbers for what several workers share the memory of: their cgroups by path, hosts by name. The gate keeps an account for each.
//
//   unknown --named--> known --not named for ten minutes--> forgotten: its number is given to the next
//
// Every container that is started anew lives in a cgroup of its own, so names come and go for as long as the program lives. Ten
// minutes are far longer than a request that was promised memory under one of them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "plimsoll/core/time.hpp"
#include "plimsoll/policy/memory_admission.hpp"

namespace plimsoll {

class DomainKeys {
public:
    static constexpr std::size_t most = 1000;
    static constexpr Duration forgotten_after = std::chrono::minutes{10};

    std::optional<DomainKey> key_of(const std::string& name, Instant now); // nothing: they are too many
    std::vector<std::pair<std::string, DomainKey>> forget(Instant now);    // those that were not named for so long
    std::size_t size() const { return known_.size(); }

private:
    struct Known {
        DomainKey key;
        Instant named;
    };
    std::map<std::string, Known> known_;
    std::vector<DomainKey> free_;
};

} // namespace plimsoll
