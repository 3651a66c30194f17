// Numbers of a leak in words: "3.9 KiB", "2 h 10 min".
#pragma once

#include <string>
#include <vector>

#include <boost/json/array.hpp>

#include "fleet/view.hpp"

namespace plimsoll::fleet {

std::string span_text(double seconds);
// "3.9 KiB", or "0.02 descriptors".
std::string amount_text(double amount, const std::string& what);
// "3.9 KiB a request (3.7 KiB to 4.1 KiB, 97 % sure)"
std::string slope_text(const LeakView& view, const std::string& what);
// "reaches its limit in 2 h 10 min (not before 1 h 58 min)", empty where nothing is known.
std::string forecast_text(const LeakView& view);
// "GET /orders/{n} leaks 3.9 KiB a request (3.7 KiB to 4.1 KiB)"
std::string route_text(const RouteShare& route);
boost::json::array json_of(const std::vector<RouteShare>& routes);
std::string advice_text(const std::string& kind, const std::string& what);

} // namespace plimsoll::fleet
