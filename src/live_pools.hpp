// The pools that run, as reloads come: those of the configuration, and those that left it and have not ended yet.
//
//   absent --begin()--> running --end_others()--> ending --nobody waits there or is served--> absent
//             '-- the reload is refused after all --^
//
// Control thread only.
#pragma once

#include <functional>
#include <string>

#include "config/config.hpp"
#include "fleet/fleet.hpp"
#include "net/server.hpp"

namespace plimsoll {

class LivePools {
public:
    explicit LivePools(const config::Config& config);
    const net::Pools& all() const { return pools_; }
    std::vector<std::shared_ptr<net::Pool>> in_order(const config::Config& config) const;

    // Starts what `next` has and we have not, before any route leads there. Empty, or the pool's name and why it could not be
    // started: then end_others() of the configuration that stays ends the others that were.
    struct Problem {
        std::string pool, why;
    };
    Problem begin(const config::Config& next, fleet::Fleet& fleet);
    // Those that `config` does not have. `gone`: all() has become less.
    void end_others(const config::Config& config, fleet::Fleet& fleet, const std::function<void()>& gone);

private:
    net::Pools pools_;
};

} // namespace plimsoll
