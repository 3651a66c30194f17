#include "plimsoll/leak/route_labels.hpp"

#include <algorithm>
#include <utility>

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

std::size_t RouteLabels::Counted::find(std::string_view name) const {
    const auto found = index_.find(name);
    return found == index_.end() ? npos : found->second;
}

std::size_t RouteLabels::Counted::add(std::string_view name, std::uint64_t asked) {
    labels_.push_back({std::string(name), asked});
    index_.emplace(name, labels_.size() - 1);
    return labels_.size() - 1;
}

void RouteLabels::Counted::replace(std::size_t at, std::string_view name, std::uint64_t asked) {
    auto node = index_.extract(labels_[at].name);
    node.key().assign(name);
    index_.insert(std::move(node));
    labels_[at].name.assign(name);
    labels_[at].asked = asked;
}

// Counts only rise: whom the hand has passed at this height never comes down to it again.
std::size_t RouteLabels::Counted::rarest() {
    std::size_t lowest = hand_;
    for (std::size_t passed = 0; passed < labels_.size(); ++passed) {
        hand_ = hand_ + 1 < labels_.size() ? hand_ + 1 : 0;
        if (labels_[hand_].asked <= lowest_) return hand_;
        if (labels_[hand_].asked < labels_[lowest].asked) lowest = hand_;
    }
    lowest_ = labels_[lowest].asked;
    return hand_ = lowest;
}

void RouteLabels::Counted::halve() {
    for (Label& label : labels_) label.asked /= 2;
    lowest_ /= 2;
}

RouteLabels::RouteLabels(std::size_t most) : most_(std::max<std::size_t>(most, 2)) {}

RouteLabels::Found RouteLabels::find(std::string_view label) {
    if (++asked_ % halve_after == 0) {
        labels_.halve();
        probation_.halve();
    }
    if (const std::size_t known = labels_.find(label); known != Counted::npos) {
        labels_.ask(known);
        return {known + 1, false};
    }
    if (size() < most_) return {labels_.add(label, 1) + 1, false};
    // The rarest on probation makes room: a newcomer inherits its count, so that none is underestimated for coming late.
    const std::size_t candidate = probation_.find(label);
    if (candidate == Counted::npos) {
        if (probation_.size() < most_) {
            probation_.add(label, 1);
        } else {
            const std::size_t rarest = probation_.rarest();
            probation_.replace(rarest, label, probation_.asked(rarest) + 1);
        }
        return {};
    }
    const std::uint64_t asked = probation_.ask(candidate);
    const auto outweighs = [&] { return asked > 2 * labels_.lowest() + 2; };
    if (!outweighs()) return {}; // by the bound: mostly there is nothing to look for
    const std::size_t rarest = labels_.rarest();
    if (!outweighs()) return {};
    displaced_.assign(labels_.name(rarest)); // changes places with it
    const std::uint64_t inherited = std::max(labels_.lowest(), probation_.lowest());
    labels_.replace(rarest, label, asked);
    probation_.replace(candidate, displaced_, inherited);
    return {rarest + 1, true};
}

} // namespace plimsoll::leak
