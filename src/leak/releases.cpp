#include "plimsoll/leak/releases.hpp"

#include <algorithm>

namespace plimsoll::leak {

const ReleaseRecord* Releases::find(const std::string& release) const {
    const auto found = std::ranges::find(records_, release, &ReleaseRecord::name);
    return found == records_.end() ? nullptr : &*found;
}

ReleaseRecord* Releases::of(const std::string& release) {
    if (release.empty()) return nullptr;
    const auto found = std::ranges::find(records_, release, &ReleaseRecord::name);
    if (found != records_.end()) return &*found;
    if (records_.size() == most) records_.erase(records_.begin());
    return &records_.emplace_back(ReleaseRecord{release});
}

void Releases::clean(const std::string& release, double requests) {
    if (ReleaseRecord* record = of(release)) record->clean = std::max(record->clean, requests);
}

void Releases::leaked(const std::string& release, double requests) {
    ReleaseRecord* record = of(release);
    if (!record) return;
    if (record->leaked == 0) record->leaked = std::max(requests, 1.0);
    ++record->accused;
}

void Releases::acquitted(const std::string& release) {
    ReleaseRecord* record = of(release);
    if (record && record->accused > 0 && --record->accused == 0) record->leaked = 0;
}

std::optional<Releases::Origin> Releases::origin(const std::string& release) const {
    const ReleaseRecord* since = find(release);
    if (!since || since->leaked == 0) return std::nullopt;
    for (auto before = since; before != records_.data();) {
        --before;
        if (before->leaked > 0) {
            since = before;
            continue;
        }
        if (before->clean < since->leaked) return std::nullopt; // it was not there for long enough to tell
        return Origin{*since, *before};
    }
    return std::nullopt;
}

bool Releases::mended(const std::string& release, double accused_age) const {
    const ReleaseRecord* record = find(release);
    const bool another_leaked = std::ranges::any_of(
        records_, [&](const ReleaseRecord& each) { return each.name != release && each.leaked > 0; });
    return record && another_leaked && record->leaked == 0 && record->clean >= enough * accused_age;
}

void Releases::learn(ReleaseRecord record) {
    if (ReleaseRecord* mine = of(record.name)) *mine = std::move(record);
}

bool SeenReleases::is_another(const std::string& release) {
    if (release.empty() || std::ranges::find(names_, release) != names_.end()) return false;
    if (names_.size() == Releases::most) names_.erase(names_.begin());
    names_.push_back(release);
    return names_.size() > 1;
}

} // namespace plimsoll::leak
