#include "plimsoll/leak/recurrence.hpp"

#include <algorithm>
#include <optional>

namespace plimsoll::leak {

namespace {

// Nothing where one side does not know.
std::optional<bool> meet(const std::vector<std::string>& one, const std::vector<std::string>& other) {
    if (one.empty() || other.empty()) return std::nullopt;
    return std::ranges::any_of(one,
                               [&](const std::string& each) { return std::ranges::find(other, each) != other.end(); });
}

std::vector<std::string> joined(std::vector<std::string> newer, const std::vector<std::string>& older) {
    for (const std::string& each : older)
        if (newer.size() < Fingerprint::most && std::ranges::find(newer, each) == newer.end()) newer.push_back(each);
    if (newer.size() > Fingerprint::most) newer.resize(Fingerprint::most);
    return newer;
}

} // namespace

Match match(const Fingerprint& one, const Fingerprint& other) {
    for (const auto part : {&Fingerprint::lines, &Fingerprint::routes, &Fingerprint::types})
        if (const auto common = meet(one.*part, other.*part)) return *common ? Match::same : Match::different;
    return Match::unknown;
}

Fingerprint merged(const Fingerprint& newer, const Fingerprint& older) {
    return {joined(newer.routes, older.routes), joined(newer.lines, older.lines), joined(newer.types, older.types)};
}

void Docket::close(PastLeak leak) {
    std::erase_if(past_, [&](const PastLeak& each) { return each.incident == leak.incident; });
    if (past_.size() == most) past_.erase(past_.begin());
    past_.push_back(std::move(leak));
}

bool Docket::reopen(const Fingerprint& mark, PastLeak& into) {
    const auto found = std::find_if(past_.rbegin(), past_.rend(),
                                    [&](const PastLeak& each) { return match(each.mark, mark) == Match::same; });
    if (found == past_.rend()) return false;
    into = std::move(*found);
    past_.erase(std::next(found).base());
    return true;
}

} // namespace plimsoll::leak
