// A reload of the configuration file: parse, check, swap whole; or refuse, tell all that is wrong, and change nothing.
//
//   parse --> values that need a restart stay --> log? --> pools that are new start --> listeners open, routes swap --> reloaded
//     '-------------------------------------------'-----------------'------------------------'--> refused: what began ends again
//
// Control thread only.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "admin/api.hpp"
#include "config/config.hpp"
#include "fleet/fleet.hpp"
#include "live_pools.hpp"
#include "net/server.hpp"

namespace plimsoll {

class Reloader {
public:
    struct Program {            // what is reloaded
        config::Config& config; // in effect
        LivePools& pools;
        net::Server& server;
        fleet::Fleet& fleet;
    };
    struct Events {
        std::function<void()> pools_changed; // who is ready may have changed with them
        std::function<void(std::string_view event, boost::json::object facts)> publish;
    };
    Reloader(std::string file, Program program, Events events)
        : file_(std::move(file)), program_(program), events_(std::move(events)) {}

    admin::Reload reload(const std::string& why_not); // why_not: empty, or the reason why none is possible now

private:
    std::vector<config::Problem> begin(const config::Config& next);
    void take_over(const config::Config& next);
    void end_pools_but_those_of(const config::Config& stays);
    admin::Reload tell_refused(admin::Reload result);
    void publish(const admin::Reload& result);

    std::string file_; // empty: there is none
    Program program_;
    Events events_;
};

void tell_warnings(const std::vector<config::Problem>& warnings); // to the log

} // namespace plimsoll
