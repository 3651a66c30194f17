#include "live_pools.hpp"

#include <algorithm>
#include <vector>

namespace plimsoll {

LivePools::LivePools(const config::Config& config) {
    for (const config::Pool& pool : config.pools)
        pools_.emplace(pool.name, std::make_shared<net::Pool>(pool.name, pool));
}

std::vector<std::shared_ptr<net::Pool>> LivePools::in_order(const config::Config& config) const {
    std::vector<std::shared_ptr<net::Pool>> out;
    for (const config::Pool& pool : config.pools) out.push_back(pools_.at(pool.name));
    return out;
}

LivePools::Problem LivePools::begin(const config::Config& next, fleet::Fleet& fleet) {
    for (const config::Pool& pool : next.pools)
        if (fleet.ending(pool.name))
            return {pool.name,
                    "an earlier pool of this name still ends: reload again when `plimsoll workers` shows it no "
                    "more"};
    for (const config::Pool& pool : next.pools) {
        if (pools_.contains(pool.name)) continue;
        const auto net = std::make_shared<net::Pool>(pool.name, pool);
        pools_.emplace(pool.name, net);
        if (std::string why = fleet.add(pool, net); !why.empty()) return {pool.name, std::move(why)};
    }
    return {};
}

void LivePools::end_others(const config::Config& config, fleet::Fleet& fleet, const std::function<void()>& gone) {
    std::vector<std::string> others;
    for (const auto& each : pools_)
        if (std::ranges::find(config.pools, each.first, &config::Pool::name) == config.pools.end())
            others.push_back(each.first);
    for (const std::string& name : others)
        fleet.remove(name, config.proxy.stop_timeout, [this, name, gone] {
            pools_.erase(name);
            gone();
        });
}

} // namespace plimsoll
