#include "net/route_counts.hpp"

namespace plimsoll::net {

std::optional<std::size_t> RouteCounts::count(WorkerKey worker, std::string_view method, std::string_view path,
                                              std::string_view named) {
    thread_local std::string label;
    label.clear();
    if (named.find(' ') == named.npos) label.append(method).append(1, ' '); // else it begins with its own method
    if (named.empty())
        leak::append_route_template(label, path);
    else
        label += named;
    const std::lock_guard lock(mutex_);
    const auto watched = rows_.find(worker);
    if (watched == rows_.end()) return std::nullopt;
    const auto found = labels_.find(label);
    serials_.resize(labels_.size());
    if (found.taken_over) hand_over(found.index);
    auto& row = watched->second;
    if (row.size() <= found.index) row.resize(found.index + 1);
    ++row[found.index];
    return found.index;
}

void RouteCounts::hand_over(std::size_t label) {
    ++serials_[label];
    for (auto& [worker, row] : rows_) {
        if (row.size() <= label) continue;
        row[leak::RouteLabels::other] += row[label];
        row[label] = 0;
    }
}

void RouteCounts::watch(WorkerKey worker) {
    const std::lock_guard lock(mutex_);
    rows_.try_emplace(worker);
    on_.store(true, std::memory_order_relaxed);
}

void RouteCounts::forget(WorkerKey worker) {
    const std::lock_guard lock(mutex_);
    rows_.erase(worker);
}

RouteCounts::Row RouteCounts::of(WorkerKey worker) const {
    const std::lock_guard lock(mutex_);
    const auto found = rows_.find(worker);
    return {found == rows_.end() ? std::vector<std::uint64_t>{} : found->second, serials_};
}

std::vector<std::string> RouteCounts::names() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    for (std::size_t label = 0; label < labels_.size(); ++label) names.push_back(labels_.name(label));
    return names;
}

} // namespace plimsoll::net
