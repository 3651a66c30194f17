#include "plimsoll/fleet/domain_keys.hpp"

namespace plimsoll {

std::optional<DomainKey> DomainKeys::key_of(const std::string& name, Instant now) {
    auto found = known_.find(name);
    if (found == known_.end()) {
        if (known_.size() >= most) return std::nullopt;
        auto key = static_cast<DomainKey>(known_.size() + 1); // all below are in use
        if (!free_.empty()) {
            key = free_.back();
            free_.pop_back();
        }
        found = known_.emplace(name, Known{key, now}).first;
    }
    found->second.named = now;
    return found->second.key;
}

std::vector<std::pair<std::string, DomainKey>> DomainKeys::forget(Instant now) {
    std::vector<std::pair<std::string, DomainKey>> forgotten;
    std::erase_if(known_, [&](const auto& each) {
        if (now - each.second.named < forgotten_after) return false;
        forgotten.emplace_back(each.first, each.second.key);
        free_.push_back(each.second.key);
        return true;
    });
    return forgotten;
}

} // namespace plimsoll
