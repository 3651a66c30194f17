#include "net/cost_labels.hpp"

namespace plimsoll::net {

namespace {

constexpr std::size_t longest_target = 128;

std::string joined(std::string_view method, std::string_view rest) {
    std::string label;
    label.reserve(method.size() + 1 + rest.size());
    return label.append(method).append(1, ' ').append(rest);
}

} // namespace

CostLabels::Found CostLabels::find_named(std::string_view label, CostKey part_of) {
    const std::size_t known = labels_.size();
    const auto found = labels_.find(label);
    const bool is_new = found.index != leak::RouteLabels::other && (found.taken_over || labels_.size() > known);
    const auto key = static_cast<CostKey>(found.index);
    if (split_.size() <= key) split_.resize(key + std::size_t{1});
    if (is_new) split_[key] = false;
    return {key, is_new, part_of};
}

CostLabels::Found CostLabels::find(std::string_view method, std::string_view target) {
    const std::string label = joined(method, leak::route_template(target));
    const std::lock_guard lock(mutex_);
    const Found found = find_named(label, 0);
    if (found.key == 0 || !split_[found.key]) return found;
    const Found exact = find_named(joined(method, target.substr(0, longest_target)), found.key);
    return exact.key == 0 ? found : exact;
}

void CostLabels::split(CostKey label) {
    const std::lock_guard lock(mutex_);
    if (label != 0 && label < split_.size()) split_[label] = true;
}

std::string CostLabels::name(CostKey label) const {
    const std::lock_guard lock(mutex_);
    return label < labels_.size() ? labels_.name(label) : std::string{};
}

} // namespace plimsoll::net
