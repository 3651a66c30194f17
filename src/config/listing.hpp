// The configuration as a flat list, in the order of the schema: what comparing and showing are made of.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"

namespace plimsoll::config {

// Every key there is: "proxy.threads", "route.limit.rate", "pool.recycle.soft_limit".
const std::vector<std::string>& all_keys();

struct Entry {
    std::string key;   // within its group: "recycle.soft_limit"
    std::string value; // as text, for comparing
    std::string shown; // the same, but for secrets
    bool live = true;
};
// What belongs together: the sections of one kind, or one listener, route or pool.
struct Group {
    std::string name; // "", "listener.0.0.0.0:8080", "route./api", "pool.app"
    std::vector<Entry> entries;
};
std::vector<Group> listing(const Config& config);

} // namespace plimsoll::config
