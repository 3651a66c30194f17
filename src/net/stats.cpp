#include "net/stats.hpp"

#include <algorithm>

namespace plimsoll::net {

void Durations::record(Duration took) {
    const double elapsed = std::chrono::duration<double>(took).count();
    const auto bound = std::lower_bound(latency_bounds.begin(), latency_bounds.end(), elapsed);
    buckets[static_cast<std::size_t>(bound - latency_bounds.begin())].add();
    nanoseconds.add(static_cast<std::uint64_t>(std::chrono::nanoseconds(took).count()));
}

void Durations::add_to(Histogram& histogram) const {
    for (std::size_t i = 0; i < buckets.size(); ++i) {
        const auto count = buckets[i].get();
        histogram.counts[i] += count;
        histogram.count += count;
    }
    histogram.sum_seconds += static_cast<double>(nanoseconds.get()) / 1e9;
}

void SeriesSlot::record(unsigned status, Duration took, std::uint64_t received, std::uint64_t sent) {
    by_class[std::min<std::size_t>(status / 100, by_class.size() - 1)].add();
    seconds.record(took);
    request_bytes.add(received);
    response_bytes.add(sent);
}

void ReactorCounters::refused(std::string_view pool, std::string_view reason, std::string_view mode) {
    const std::lock_guard lock(mutex_);
    ++refusals_[{pool, reason, mode}];
}

void ReactorCounters::add_refusals(Refusals& to) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, count] : refusals_) to[key] += count;
}

Series& Registry::series(std::string_view pool, std::string_view route) {
    const std::lock_guard lock(mutex_);
    return series_of({std::string(pool), std::string(route)});
}

Series& Registry::labelled(std::string_view pool, std::string_view label) {
    const std::lock_guard lock(mutex_);
    auto key = std::pair(std::string(pool), std::string(label));
    if (series_.contains(key)) return series_of(std::move(key));
    std::size_t& labels = labels_[key.first];
    if (labels >= max_labels)
        key.second = "other";
    else
        ++labels;
    return series_of(std::move(key));
}

Series& Registry::series_of(std::pair<std::string, std::string> key) {
    auto found = series_.find(key);
    if (found == series_.end() && series_.size() >= max_series) {
        key.second = "other";
        found = series_.find(key);
    }
    if (found != series_.end()) return *found->second;
    auto made = std::make_unique<Series>();
    made->pool = key.first;
    made->route = key.second;
    made->slots = std::make_unique<SeriesSlot[]>(reactors_);
    return *series_.emplace(std::move(key), std::move(made)).first->second;
}

QueueSeries& Registry::queue(std::string_view pool) {
    const std::lock_guard lock(mutex_);
    auto& queue = queues_[std::string(pool)];
    if (!queue) queue = std::make_unique<QueueSeries>(std::string(pool), std::make_unique<QueueSlot[]>(reactors_));
    return *queue;
}

std::string_view Registry::intern(std::string_view pool) {
    const std::lock_guard lock(mutex_);
    auto found = names_.find(pool);
    if (found == names_.end()) found = names_.emplace(std::string(pool), std::make_unique<std::string>(pool)).first;
    return *found->second;
}

void Registry::add_to(ServerStats& stats) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, series] : series_) {
        RouteStats sum;
        sum.pool = series->pool;
        sum.route = series->route;
        for (unsigned reactor = 0; reactor < reactors_; ++reactor) {
            const auto& slot = series->slots[reactor];
            for (std::size_t i = 0; i < sum.by_class.size(); ++i) sum.by_class[i] += slot.by_class[i].get();
            slot.seconds.add_to(sum.seconds);
            sum.request_bytes += slot.request_bytes.get();
            sum.response_bytes += slot.response_bytes.get();
        }
        stats.routes.push_back(std::move(sum));
    }
    for (const auto& [pool, queue] : queues_) {
        QueueStats sum;
        sum.pool = pool;
        for (unsigned reactor = 0; reactor < reactors_; ++reactor) {
            const auto& slot = queue->slots[reactor];
            for (std::size_t i = 0; i < priorities; ++i) slot.waits[i].add_to(sum.seconds[i]);
            sum.left += slot.left.get();
        }
        stats.queues.push_back(std::move(sum));
    }
}

} // namespace plimsoll::net
