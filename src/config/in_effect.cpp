#include <algorithm>

#include "config/parse.hpp"

namespace plimsoll::config {

namespace {

// Pools neither come nor go: those that run stay, with what `next` says of them.
template <class T, class Key>
std::vector<T> same_ones(const std::vector<T>& running, const std::vector<T>& next, Key T::*key) {
    std::vector<T> out;
    for (const T& one : running) {
        const auto found = std::ranges::find(next, one.*key, key);
        out.push_back(found == next.end() ? one : *found);
    }
    return out;
}

} // namespace

Config in_effect(const Config& running, const Config& next) {
    Config out = next;
    out.proxy.threads = running.proxy.threads;
    out.proxy.control = running.proxy.control;
    out.proxy.token = running.proxy.token;
    out.proxy.token_file = running.proxy.token_file;
    out.proxy.rate_keys = running.proxy.rate_keys;
    out.admin = running.admin;
    out.store = running.store;
    out.pools = same_ones(running.pools, next.pools, &Pool::name);
    for (std::size_t i = 0; i < out.pools.size(); ++i) {
        out.pools[i].source = running.pools[i].source;
        out.pools[i].memory.cgroup_root = running.pools[i].memory.cgroup_root;
    }
    return out;
}

} // namespace plimsoll::config
