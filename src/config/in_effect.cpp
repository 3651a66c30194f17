#include <algorithm>

#include "config/parse.hpp"

namespace plimsoll::config {

Config in_effect(const Config& running, const Config& next) {
    Config out = next;
    out.proxy.threads = running.proxy.threads;
    out.proxy.control = running.proxy.control;
    out.proxy.token = running.proxy.token;
    out.proxy.token_file = running.proxy.token_file;
    out.proxy.rate_keys = running.proxy.rate_keys;
    out.admin = running.admin;
    out.store = running.store;
    for (Pool& pool : out.pools) { // others come and go; of one that goes on the workers come from where they did
        const auto same = std::ranges::find(running.pools, pool.name, &Pool::name);
        if (same == running.pools.end()) continue;
        pool.source = same->source;
        pool.memory.cgroup_root = same->memory.cgroup_root;
    }
    return out;
}

} // namespace plimsoll::config
