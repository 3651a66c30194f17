// Names for requests by which the memory that they need is learned (policy/memory_costs.hpp): known when a request arrives,
// so made from its method and path, whatever the application will call it.
//
//   "GET /reports/{n}"            a template: variable parts are known by their looks (leak/route_labels.hpp)
//   "GET /reports/7?rows=9000"    where requests of one template are not alike: the target as it is
//
// Behind a lock of its own, and off until somebody reads memory: a pool whose memory nobody sees pays nothing.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "plimsoll/leak/route_labels.hpp"
#include "plimsoll/policy/memory_costs.hpp"

namespace plimsoll::net {

class CostLabels {
public:
    bool on() const { return on_.load(std::memory_order_relaxed); }
    void turn_on() { on_.store(true, std::memory_order_relaxed); }

    struct Found {
        CostKey key = 0;     // 0: one of the rest
        bool is_new = false; // the key is this label's from now on
        CostKey part_of = 0; // the template's, where this is more exact than that
    };
    Found find(std::string_view method, std::string_view target);
    void split(CostKey label); // its requests are not alike
    std::string name(CostKey label) const;

private:
    Found find_named(std::string_view label, CostKey part_of);

    std::atomic<bool> on_ = false;
    mutable std::mutex mutex_; // guards all below
    leak::RouteLabels labels_{MemoryCosts::most};
    std::vector<bool> split_; // by key
};

} // namespace plimsoll::net
