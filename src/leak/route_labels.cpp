#include "plimsoll/leak/route_labels.hpp"

#include <algorithm>

namespace plimsoll::leak {

namespace {

constexpr std::size_t longest_template = 200, most_segments = 16;
constexpr std::size_t hash_from = 8, token_from = 20; // characters
constexpr std::uint64_t halve_after = 1'000'000;      // requests

bool digit(char c) { return c >= '0' && c <= '9'; }
// Of "http://host/path", which a client may send to a proxy, the path.
std::string_view origin_form(std::string_view target) {
    if (target.starts_with('/')) return target;
    const auto scheme = target.find("://");
    if (scheme == target.npos) return target;
    const auto path = target.find('/', scheme + 3);
    return path == target.npos ? std::string_view("/") : target.substr(path);
}

bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool hex(char c) { return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// Does the text look like the pattern? d: a digit, h: a hex digit, anything else: itself.
bool looks_like(std::string_view text, std::string_view pattern) {
    return text.size() == pattern.size() && std::equal(text.begin(), text.end(), pattern.begin(), [](char c, char p) {
               return p == 'd' ? digit(c) : p == 'h' ? hex(c) : c == p;
           });
}

std::string_view placeholder_of(std::string_view segment) {
    const auto digits = static_cast<std::size_t>(std::ranges::count_if(segment, digit));
    if (segment.empty()) return {};
    const std::size_t sign = segment[0] == '-' ? 1 : 0;
    if (digits > 0 && digits == segment.size() - sign) return "{n}";
    if (looks_like(segment, "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh")) return "{uuid}";
    if (segment.size() >= 10 && looks_like(segment.substr(0, 10), "dddd-dd-dd")) return "{date}";
    if (digits > 0 && segment.size() >= hash_from && std::ranges::all_of(segment, hex)) return "{hash}";
    const auto word = [](char c) { return digit(c) || letter(c) || c == '-' || c == '_' || c == '=' || c == '~'; };
    if (digits > 2 && segment.size() >= token_from && std::ranges::all_of(segment, word)) return "{token}";
    return {};
}

} // namespace

std::string route_template(std::string_view target) {
    std::string_view path = origin_form(target.substr(0, target.find_first_of("?#;")));
    std::string label;
    std::size_t segments = 0;
    while (!path.empty()) {
        const std::size_t slash = path.find('/');
        const std::string_view segment = path.substr(0, slash);
        const std::string_view placeholder = placeholder_of(segment);
        label += placeholder.empty() ? segment : placeholder;
        if (slash == path.npos) break;
        label += '/';
        path.remove_prefix(slash + 1);
        if (++segments < most_segments && label.size() < longest_template) continue;
        label += "...";
        break;
    }
    if (label.size() > longest_template) {
        label.resize(longest_template);
        label += "...";
    }
    return label;
}

RouteLabels::RouteLabels(std::size_t most) : most_(std::max<std::size_t>(most, 2)) { labels_.push_back({"other", 0}); }

RouteLabels::Found RouteLabels::find(std::string_view label) {
    if (++asked_ % halve_after == 0) forget_half();
    std::string name(label);
    if (const auto known = index_.find(name); known != index_.end()) {
        ++labels_[known->second].asked;
        return {known->second, false};
    }
    if (labels_.size() < most_) {
        labels_.push_back({name, 1});
        index_.emplace(std::move(name), labels_.size() - 1);
        return {labels_.size() - 1, false};
    }
    // The rarest on probation makes room: a newcomer inherits its count, so that none is underestimated for coming late.
    auto candidate = probation_.find(name);
    if (candidate == probation_.end()) {
        std::uint64_t inherited = 0;
        if (probation_.size() >= most_) {
            const auto rarest = std::ranges::min_element(probation_, {}, [](const auto& each) { return each.second; });
            inherited = rarest->second;
            probation_.erase(rarest);
        }
        candidate = probation_.emplace(name, inherited).first;
    }
    const std::uint64_t asked = ++candidate->second;
    const auto rarest = std::ranges::min_element(labels_.begin() + 1, labels_.end(), {}, &Label::asked);
    if (asked <= 2 * rarest->asked + 2) return {};
    const auto index = static_cast<std::size_t>(rarest - labels_.begin());
    index_.erase(rarest->name);
    probation_.erase(candidate);
    *rarest = {name, asked};
    index_.emplace(std::move(name), index);
    return {index, true};
}

void RouteLabels::forget_half() {
    for (Label& label : labels_) label.asked /= 2;
    for (auto& [name, asked] : probation_) asked /= 2;
}

} // namespace plimsoll::leak
