#include "net/steering.hpp"

#include <algorithm>
#include <string>

#include "plimsoll/leak/route_labels.hpp"
#include "plimsoll/policy/affinity.hpp"

namespace plimsoll::net {

namespace {

struct Keys {
    std::uint64_t whole = 0, beginning = 0;
};

Keys keys_of(std::string_view method, std::string_view path) {
    std::string text(method);
    text += leak::route_template(path);
    const auto depth = std::ranges::count(text, '/');
    const auto second = text.find('/', method.size() + 1);
    return {affinity_hash(text),
            affinity_score(affinity_hash(std::string_view(text).substr(0, second)), static_cast<std::uint64_t>(depth))};
}

} // namespace

Side Steering::side_of(std::string_view method, std::string_view path) const {
    const Keys keys = keys_of(method, path);
    const std::lock_guard lock(mutex_);
    auto known = labels_.find(keys.whole);
    if (known == labels_.end()) known = labels_.find(keys.beginning);
    const std::size_t label = known == labels_.end() ? leak::RouteLabels::other : known->second;
    return label < home_.size() && home_[label] ? Side::home : Side::away;
}

void Steering::learn(std::string_view method, std::string_view path, std::size_t label) {
    const Keys keys = keys_of(method, path);
    const std::lock_guard lock(mutex_);
    if (labels_.size() >= most_paths) labels_.clear();
    labels_[keys.whole] = label;
    labels_[keys.beginning] = label;
}

void Steering::record(Phase phase, Duration took) {
    const std::lock_guard lock(mutex_);
    times_.record(phase == Phase::varied, took);
}

void Steering::begin() {
    const std::lock_guard lock(mutex_);
    times_ = {};
}

void Steering::vary(std::vector<bool> home) {
    const std::lock_guard lock(mutex_);
    home_ = std::move(home);
    phase_.store(Phase::varied, std::memory_order_relaxed);
}

void Steering::control() { phase_.store(Phase::control, std::memory_order_relaxed); }

void Steering::pause() { phase_.store(Phase::none, std::memory_order_relaxed); }

void Steering::end() {
    const std::lock_guard lock(mutex_);
    phase_.store(Phase::none, std::memory_order_relaxed);
    home_.clear();
    labels_.clear();
}

Steering::Stats Steering::stats(double by) const {
    const std::lock_guard lock(mutex_);
    return {times_.count(true), times_.count(false), times_.p99(true), times_.p99(false), times_.risen(by)};
}

} // namespace plimsoll::net
