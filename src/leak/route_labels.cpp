#include "plimsoll/leak/route_labels.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace plimsoll::leak {

namespace {

constexpr std::size_t longest_template = 200, most_segments = 16;
constexpr std::size_t hash_from = 8, token_from = 20; // characters
constexpr std::uint64_t halve_after = 1'000'000;      // requests

// What a character may be part of.
enum : std::uint8_t { digit = 1, hex = 2, word = 4, end_of_segment = 8 };
constexpr auto class_of = [] {
    std::array<std::uint8_t, 256> classes{};
    const auto add = [&](std::string_view characters, unsigned what) {
        for (const char c : characters)
            classes[static_cast<unsigned char>(c)] =
                static_cast<std::uint8_t>(classes[static_cast<unsigned char>(c)] | what);
    };
    add("0123456789", digit | hex | word);
    add("abcdefABCDEF", hex | word);
    add("ghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ-_=~", word);
    add("/?#;", end_of_segment);
    return classes;
}();
unsigned classes_of(char c) { return class_of[static_cast<unsigned char>(c)]; }

// Of "http://host/path", which a client may send to a proxy, the path.
std::string_view origin_form(std::string_view target) {
    if (target.starts_with('/')) return target;
    target = target.substr(0, target.find_first_of("?#;"));
    const auto scheme = target.find("://");
    if (scheme == target.npos) return target;
    const auto path = target.find('/', scheme + 3);
    return path == target.npos ? std::string_view("/") : target.substr(path);
}

// Does the text look like the pattern? d: a digit, h: a hex digit, anything else: itself.
bool looks_like(std::string_view text, std::string_view pattern) {
    return std::equal(text.begin(), text.end(), pattern.begin(), pattern.end(), [](char c, char p) {
        return p == 'd' ? (classes_of(c) & digit) != 0 : p == 'h' ? (classes_of(c) & hex) != 0 : c == p;
    });
}

struct Segment {
    std::string_view text;
    std::size_t digits = 0;
    unsigned all = digit | hex | word; // what each of its characters may be part of

    std::string_view placeholder() const;
};

Segment first_segment(std::string_view path) {
    Segment segment;
    std::size_t size = 0;
    for (; size < path.size(); ++size) {
        const unsigned classes = classes_of(path[size]);
        if (classes & end_of_segment) break;
        segment.digits += classes & digit;
        segment.all &= classes;
    }
    segment.text = path.substr(0, size);
    return segment;
}

// Empty: it is a name.
std::string_view Segment::placeholder() const {
    constexpr std::string_view uuid = "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh", date = "dddd-dd-dd";
    if (text.size() == uuid.size() && looks_like(text, uuid)) return "{uuid}";
    if (digits == 0) return {};
    if (digits == text.size() - (text[0] == '-' ? 1 : 0)) return "{n}";
    if (text.size() >= date.size() && looks_like(text.substr(0, date.size()), date)) return "{date}";
    if ((all & hex) && text.size() >= hash_from) return "{hash}";
    if ((all & word) && digits > 2 && text.size() >= token_from) return "{token}";
    return {};
}

} // namespace

void append_route_template(std::string& label, std::string_view target) {
    std::string_view path = origin_form(target);
    const std::size_t before = label.size();
    for (std::size_t segments = 0; !path.empty();) {
        const Segment segment = first_segment(path);
        const std::string_view placeholder = segment.placeholder();
        label += placeholder.empty() ? segment.text : placeholder;
        path.remove_prefix(segment.text.size());
        if (!path.starts_with('/')) break;
        label += '/';
        path.remove_prefix(1);
        if (++segments < most_segments && label.size() - before < longest_template) continue;
        label += "...";
        break;
    }
    if (label.size() - before <= longest_template) return;
    label.resize(before + longest_template);
    label += "...";
}

std::string route_template(std::string_view target) {
    std::string label;
    append_route_template(label, target);
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
