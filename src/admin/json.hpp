// The documents of the API: views and incidents as JSON, with the field names that DESIGN promises. Unknown numbers are null,
// times RFC 3339 with milliseconds, in UTC.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "config/config.hpp"
#include "config/parse.hpp"
#include "fleet/view.hpp"
#include "net/server.hpp"
#include "store/incident_store.hpp"

namespace plimsoll::admin {

std::string to_rfc3339(std::chrono::system_clock::time_point at);
boost::json::value at_or_null(std::chrono::system_clock::time_point at); // null for the epoch: never

boost::json::object to_json(const fleet::WorkerView& worker);
boost::json::object growth_of(const fleet::WorkerView& worker); // what its memory does, be it unknown
boost::json::object to_json(const net::GateStats& gate);
boost::json::object to_json(const net::LimitStats& limit); // one in force
boost::json::object to_json(const net::RedisStats& redis);
boost::json::object to_json(const fleet::PoolView& pool, bool with_workers);
boost::json::object to_json(const fleet::LeakReport& report);
boost::json::object to_json(const store::Incident& incident, bool with_timeline);
boost::json::object to_json(const store::TimelineEntry& entry);
boost::json::object to_json(const config::Problem& problem);
boost::json::object to_json(const config::Change& change);
boost::json::object
to_json(const config::Config& config); // in the shape and notation of the file; secrets are "(hidden)"

template <class Element>
boost::json::array to_json_array(const std::vector<Element>& elements) {
    boost::json::array array;
    for (const auto& element : elements) array.push_back(to_json(element));
    return array;
}

} // namespace plimsoll::admin
