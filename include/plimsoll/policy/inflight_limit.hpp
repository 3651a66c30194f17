// How many at once: requests under way for each key, counted exactly.
//
// A rate does not bound what a client holds: ten requests a second that take a minute each are six hundred slots. A key is
// remembered only while a request of it is under way, so the table is never larger than the number of connections.
// Plain object, behind the same lock as the RateTable of its stripe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace plimsoll {

class InflightTable {
public:
    bool enter(std::uint64_t key, unsigned limit) { // true: leave() when it has ended
        unsigned& count = counts_[key];
        if (count < limit) {
            ++count;
            return true;
        }
        if (count == 0) counts_.erase(key);
        return false;
    }
    void leave(std::uint64_t key) {
        const auto found = counts_.find(key);
        if (found != counts_.end() && --found->second == 0) counts_.erase(found);
    }
    std::size_t keys() const { return counts_.size(); }

private:
    std::unordered_map<std::uint64_t, unsigned> counts_;
};

} // namespace plimsoll
