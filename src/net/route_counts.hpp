// How often each worker was asked for what: the counts by which the growth of its memory is explained (fleet/leak_routes.hpp).
//
// A label is the pattern that the application names in X-Plimsoll-Route, else a template learned from the path, with the method
// in front: "GET /orders/{n}". There are few of them (leak/route_labels.hpp); where a newcomer takes the place of a rare one,
// what was counted there belongs to the rest, and the place's serial changes.
//
// Behind a lock of its own, and off until somebody who reads memory asks for it: a pool whose memory nobody sees pays nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "plimsoll/leak/route_labels.hpp"
#include "plimsoll/policy/priority.hpp"

namespace plimsoll::net {

class RouteCounts {
public:
    explicit RouteCounts(std::size_t most_labels = 256) : labels_(most_labels) {}

    bool on() const { return on_.load(std::memory_order_relaxed); }
    void watch(WorkerKey worker); // from now on; others are not counted, so what ends late leaves nothing behind

    // One request that the worker has worked on; `named` is the application's own name for it, or empty. Gives its label.
    std::optional<std::size_t> count(WorkerKey worker, std::string_view method, std::string_view path,
                                     std::string_view named);
    void forget(WorkerKey worker); // it is gone, and nobody asks any more

    struct Row {
        std::vector<std::uint64_t> requests; // by label; shorter where the last ones were never asked of this worker
        std::vector<std::uint32_t> serials;  // by label: how often the place changed hands
    };
    Row of(WorkerKey worker) const;
    std::vector<std::string> names() const;

private:
    void hand_over(std::size_t label);

    std::atomic<bool> on_ = false;
    mutable std::mutex mutex_; // guards all below
    leak::RouteLabels labels_;
    std::vector<std::uint32_t> serials_;
    std::unordered_map<WorkerKey, std::vector<std::uint64_t>> rows_;
};

} // namespace plimsoll::net
