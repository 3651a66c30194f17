#include "net/cost_labels.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace plimsoll::net {

namespace {

constexpr std::size_t longest_target = 128;

std::string joined(std::string_view method, std::string_view rest) {
    std::string label;
    label.reserve(method.size() + 1 + rest.size());
    return label.append(method).append(1, ' ').append(rest);
}

std::pair<std::size_t, bool> index_in(leak::RouteLabels& labels, std::string_view label) {
    const std::size_t known = labels.size();
    const auto found = labels.find(label);
    return {found.index, found.index != leak::RouteLabels::other && (found.taken_over || labels.size() > known)};
}

} // namespace

CostKey CostLabels::key_of(std::string_view label, bool& is_new) {
    std::size_t index = 0;
    std::tie(index, is_new) = index_in(labels_, label);
    if (is_new) split_[index] = false;
    return static_cast<CostKey>(index);
}

CostKey CostLabels::family_of(std::string_view label, Fresh& fresh) {
    const auto last_slash = label.rfind('/');
    std::string name(label.substr(0, last_slash == label.npos ? 0 : last_slash + 1));
    const auto [index, is_new] = index_in(families_, name.append("*"));
    const auto key = static_cast<CostKey>(most_labels + index);
    if (is_new) fresh = {key};
    return key;
}

CostLabels::Found CostLabels::find(std::string_view method, std::string_view target) {
    thread_local std::string label;
    leak::append_route_template(label.assign(method).append(1, ' '), target);
    const std::lock_guard lock(mutex_);
    Found found;
    bool is_new = false;
    const CostKey whole = key_of(label, is_new);
    if (whole == 0) {
        found.key = family_of(label, found.fresh[0]);
        return found;
    }
    found.key = whole;
    if (is_new) found.fresh[1] = {whole, family_of(label, found.fresh[0])};
    if (!split_[whole]) return found;
    const CostKey exact = key_of(joined(method, target.substr(0, longest_target)), is_new);
    if (exact == 0) return found;
    found.key = exact;
    if (is_new) found.fresh[0] = {exact, whole, MemoryCosts::Likeness::of_a_part};
    return found;
}

void CostLabels::split(CostKey label) {
    const std::lock_guard lock(mutex_);
    if (label != 0 && label < split_.size()) split_[label] = true;
}

CostKey CostLabels::recall(std::string_view label) {
    const auto space = std::min(label.find(' '), label.size());
    const auto target = label.substr(std::min(space + 1, label.size()));
    const std::string whole = joined(label.substr(0, space), leak::route_template(target));
    const std::lock_guard lock(mutex_);
    bool is_new = false;
    const CostKey key = key_of(label, is_new);
    if (key == 0 || whole == label) return key;
    if (const CostKey its_template = key_of(whole, is_new)) split_[its_template] = true;
    return key;
}

std::string CostLabels::name(CostKey label) const {
    const std::lock_guard lock(mutex_);
    if (label >= most_labels)
        return label - most_labels < families_.size() ? families_.name(label - most_labels) : std::string{};
    return label < labels_.size() ? labels_.name(label) : std::string{};
}

} // namespace plimsoll::net
