#include "net/limit_labels.hpp"

#include <algorithm>

namespace plimsoll::net {

namespace {

constexpr std::size_t most_segments = 32; // what lies deeper is known by its template only

bool is_placeholder(std::string_view segment) { return segment.find('{') != segment.npos; }

bool is_written(std::string_view segment) { return !segment.empty() && !is_placeholder(segment); }

// "GET", "users", "42"; empty where there are too many.
std::vector<std::string_view> segments_of(std::string_view method, std::string_view path) {
    std::vector<std::string_view> segments{method};
    path.remove_prefix(path.starts_with('/') ? 1 : 0);
    while (segments.size() <= most_segments) {
        const auto slash = path.find('/');
        segments.push_back(path.substr(0, slash));
        if (slash == path.npos) return segments;
        path.remove_prefix(slash + 1);
    }
    return {};
}

using Segment = std::vector<std::string_view>::const_iterator;

bool matches(Segment pattern, Segment end, Segment path) {
    return std::equal(pattern, end, path, [](auto expected, auto found) {
        return is_placeholder(expected) ? !found.empty() : expected == found;
    });
}

std::string named_so(std::string_view method, std::string_view rest) {
    std::string label;
    label.reserve(method.size() + 1 + rest.size());
    return label.append(method).append(1, ' ').append(rest);
}

} // namespace

std::string LimitLabels::of(std::string_view method, std::string_view path) {
    const auto segments = segments_of(method, path);
    std::string label = named_so(method, leak::route_template(path));
    const std::lock_guard lock(mutex_);
    if (const std::string* known = find_named(segments, label)) return *known;
    return templates_.find(label).index == leak::RouteLabels::other ? "other" : label;
}

std::string LimitLabels::named(std::string_view method, std::string_view path) const {
    const auto segments = segments_of(method, path);
    const std::string path_template = named_so(method, leak::route_template(path));
    const std::lock_guard lock(mutex_);
    const std::string* known = find_named(segments, path_template);
    return known ? *known : std::string();
}

const std::string* LimitLabels::find_named(const Segments& path, const std::string& path_template) const {
    if (!path.empty())
        if (const std::string* pattern = find(path, 0, 0)) return pattern;
    const auto other = others_.find(path_template);
    return other == others_.end() ? nullptr : &other->second;
}

std::string LimitLabels::with_method(std::string_view method, std::string_view named) {
    return named.find(' ') == named.npos ? named_so(method, named) : std::string(named);
}

void LimitLabels::learn(std::string_view method, std::string_view path, std::string_view named) {
    const std::string label = with_method(method, named);
    const auto asked = segments_of(method, path);
    const std::lock_guard lock(mutex_);
    if (!asked.empty()) {
        if (const std::string* known = find(asked, 0, 0); known && *known == label) return;
        if (learn_pattern(asked, std::string_view(label).substr(label.find(' ') + 1), label)) return;
    }
    const std::string path_template = named_so(method, leak::route_template(path));
    if (others_.size() < most_others) others_.try_emplace(path_template, label);
}

// Whether it accounts for this path now.
bool LimitLabels::learn_pattern(const Segments& asked, std::string_view named, const std::string& label) {
    if (!named.starts_with('/')) return false;
    Segments pattern = segments_of(asked.front(), named);
    if (pattern.empty() || pattern.size() > asked.size()) return false;
    const std::string_view whatever = "{}";
    const auto missing = static_cast<std::ptrdiff_t>(asked.size() - pattern.size());
    const bool aligned = missing == 0 || std::any_of(pattern.begin() + 1, pattern.end(), is_written);
    bool takes_rest = false;
    if (aligned && matches(pattern.begin() + 1, pattern.end(), asked.begin() + 1 + missing)) {
        pattern.insert(pattern.begin() + 1, asked.begin() + 1, asked.begin() + 1 + missing);
        for (auto cut_off = pattern.begin() + 1; cut_off != pattern.begin() + 1 + missing; ++cut_off)
            if (is_placeholder(leak::route_template(*cut_off))) *cut_off = whatever;
    } else if (is_placeholder(pattern.back()) && matches(pattern.begin(), pattern.end(), asked.begin())) {
        takes_rest = true;
    } else {
        return false;
    }
    return add(pattern, label, takes_rest) && find(asked, 0, 0) != nullptr;
}

// What comes at `at` and behind. Each node is come to on one way only, so this is bounded by their number.
const std::string* LimitLabels::find(const Segments& path, std::size_t at, std::uint32_t node) const {
    const Node& here = nodes_[node];
    if (at == path.size()) return here.label.empty() ? nullptr : &here.label;
    if (const auto written = here.written.find(path[at]); written != here.written.end())
        if (const std::string* found = find(path, at + 1, written->second)) return found;
    if (here.placeholder != 0 && !path[at].empty()) {
        if (const std::string* found = find(path, at + 1, here.placeholder)) return found;
        if (const Node& there = nodes_[here.placeholder]; there.takes_rest) return &there.label;
    }
    return nullptr;
}

bool LimitLabels::add(const Segments& pattern, const std::string& label, bool takes_rest) {
    if (patterns_ >= most_patterns) return false;
    std::uint32_t node = 0;
    for (const auto segment : pattern) node = next(node, segment);
    Node& end = nodes_[node];
    end.takes_rest = end.takes_rest || takes_rest;
    if (!end.label.empty()) return true; // its first name stays: another would begin all counts anew
    end.label = label;
    ++patterns_;
    return true;
}

std::uint32_t LimitLabels::next(std::uint32_t node, std::string_view segment) {
    const auto fresh = static_cast<std::uint32_t>(nodes_.size());
    if (is_placeholder(segment)) {
        if (nodes_[node].placeholder == 0) {
            nodes_[node].placeholder = fresh;
            nodes_.emplace_back();
        }
        return nodes_[node].placeholder;
    }
    const auto [found, is_new] = nodes_[node].written.try_emplace(std::string(segment), fresh);
    const std::uint32_t there = found->second;
    if (is_new) nodes_.emplace_back();
    return there;
}

} // namespace plimsoll::net
