// Leaks in words: "3.9 KiB", "2 h 10 min", and the one sentence that tells all of it.
#pragma once

#include <string>
#include <vector>

#include <boost/json/array.hpp>

#include "fleet/view.hpp"

namespace plimsoll::fleet {

std::string span_text(double seconds);
// "3.9 KiB", or "0.02 descriptors".
std::string amount_text(double amount, const std::string& what);
// "3.9 KiB a request (3.7 to 4.1 KiB, 97 % sure)"; what is counted and comes seldom goes by the thousand.
std::string slope_text(const LeakView& view, const std::string& what);
// "app-1 and app-2 leak 3.9 KiB a request (3.7 to 4.1 KiB, 97 % sure)"
std::string growth_text(const std::vector<std::string>& workers, const LeakView& view, const std::string& what);
// "reaches its limit in 2 h 10 min (not before 1 h 58 min)", empty where nothing is known.
std::string forecast_text(const LeakView& view);
bool order_is_sure(const std::vector<RouteShare>& routes); // the first one is the heaviest
// It may be another one that is known: one alone has no order.
bool order_is_open(const std::vector<RouteShare>& routes);
// "GET /a leaks", or "one of GET /a, GET /b (order not sure yet) leaks most: GET /a", before its bytes.
std::string first_route_text(const std::vector<RouteShare>& routes);
// "GET /orders/{n} leaks 3.9 KiB a request (3.7 to 4.1 KiB)"
std::string routes_text(const std::vector<RouteShare>& routes);
boost::json::array json_of(const std::vector<RouteShare>& routes);
boost::json::array json_of(const std::vector<LeakLine>& lines);
// "shop/orders.py:41 in `remember`": the path below `directory`, or its last two parts. Empty where there is no line.
std::string first_line_text(const std::vector<LeakLine>& lines, const std::string& directory);
std::string short_path(const std::string& file, const std::string& directory);
// "`shop.orders._seen` (dict)" of "shop.orders._seen (dict, 40213 items)"
std::string kept_text(const std::string& kept_by);
// All that is known of a leak in one sentence. A line stands with the route only where it is its own (leak_pairs.hpp).
std::string verdict_text(const LeakReport& leak, const std::string& directory);

} // namespace plimsoll::fleet
