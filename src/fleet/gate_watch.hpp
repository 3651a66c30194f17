// Tells when the gate of a pool changes its mind: a line in the log and a `gate` event, once when it begins and once when it is over.
// What is told, and how seldom, is the policy's (plimsoll/policy/gate_news.hpp).
//
//   every second: net::Pool::stats() -> GateReporter -> log, journal
//
// Control thread only.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>

#include <boost/json/object.hpp>

#include "config/config.hpp"
#include "net/pool.hpp"
#include "plimsoll/policy/gate_news.hpp"

namespace plimsoll::fleet {

class GateWatch {
public:
    static constexpr Duration interval = std::chrono::seconds{1};
    using NameOf = std::function<std::string(WorkerKey)>; // empty: nobody knows it any more
    using Publish = std::function<void(std::string event, boost::json::object)>;

    GateWatch(std::shared_ptr<const net::Pool> net, NameOf name_of, Publish publish)
        : net_(std::move(net)), name_of_(std::move(name_of)), publish_(std::move(publish)) {}
    void look(Instant now, const config::Pool& settings);

private:
    void tell(const GateNews& news, const config::Pool& settings);
    std::string subject(const GateNews& news); // the worker's id or the route's label; else empty

    std::shared_ptr<const net::Pool> net_;
    NameOf name_of_;
    Publish publish_;
    GateReporter reporter_;
    std::unordered_map<WorkerKey, std::string> tripped_; // as was told: they may be gone when it ends
};

} // namespace plimsoll::fleet
