// Names for requests by which the memory that they need is learned (policy/memory_costs.hpp): known when a request arrives,
// so made from its method and path, whatever the application will call it.
//
//   "GET /reports/{n}"            a template: variable parts are known by their looks (leak/route_labels.hpp)
//   "GET /reports/7?rows=9000"    where requests of one template are not alike: the target as it is
//   "GET /reports/*"              a family: templates that differ in their last part only. What nobody has asked for before
//                                 is expected to need what most of its family needed at first; where there are too many
//                                 templates (every report has a name of its own), the family stands for them
//   "other"                       all families for which there is no room
//
// Keys: 1 .. most_labels - 1 are templates and targets, most_labels is "other", those above are families.
//
// Behind a lock of its own, and off until somebody reads memory: a pool whose memory nobody sees pays nothing.
#pragma once

#include <array>
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
    static constexpr std::size_t most_labels = 1024, most_families = 128;
    static_assert(most_labels + most_families <= MemoryCosts::most + 1);

    bool on() const { return on_.load(std::memory_order_relaxed); }
    void turn_on() { on_.store(true, std::memory_order_relaxed); }

    struct Fresh { // the key is another label's from now on
        CostKey key = 0, like = 0;
        MemoryCosts::Likeness likeness = MemoryCosts::Likeness::of_a_family;
    };
    struct Found {
        CostKey key = 0;
        std::array<Fresh, 2> fresh{}; // key 0: none
    };
    Found find(std::string_view method, std::string_view target);
    void split(CostKey label); // its requests are not alike
    // A key for a label of an earlier life, by its name; 0 where there is no room. What was told apart stays so.
    CostKey recall(std::string_view label);
    std::string name(CostKey label) const;

private:
    // With the lock held. The family of "GET /reports/{n}" is "GET /reports/*".
    CostKey family_of(std::string_view label, Fresh& fresh);
    CostKey key_of(std::string_view label, bool& is_new); // 0: there are too many

    std::atomic<bool> on_ = false;
    mutable std::mutex mutex_; // guards all below
    leak::RouteLabels labels_{most_labels}, families_{most_families};
    std::vector<bool> split_ = std::vector<bool>(most_labels); // by key
};

} // namespace plimsoll::net
