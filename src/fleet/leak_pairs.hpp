// Which line belongs to which route. The two are found by different means, and each first one is only the heaviest of its own: routes
// by thousands of requests, lines by the few hundred of a trace. A line is a route's where what it kept in the window, for each
// request to that route in it, is what the route leaks:
//
//     bytes a request * requests / asks of the route     a tenth of its interval's low to 1.5 of its high, as for lines of a
//                                                        worker's growth, and wider where it was asked a few times only
//
// It is nobody's where that holds of two routes, or where the lines of a route are together more than it leaks, or less than three
// tenths of it. Pure.
#pragma once

#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "fleet/view.hpp"

namespace plimsoll::fleet {

// What was asked in a window, by label: {"requests": 200, "routes": {"GET /a": 60}}.
boost::json::object asked_in(const std::vector<std::string>& names, const std::vector<std::uint64_t>& before,
                             const std::vector<std::uint64_t>& after, double requests);
// Says of each line whose it is, by what `details` have as "asked". Where that is not known a route that is the only one has them all.
void pair(std::vector<LeakLine>& lines, const std::vector<RouteShare>& routes, const boost::json::object& details);
// The first route has lines, or all lines together explain what all the routes left behind. Also where there is nothing to compare.
bool lines_explain(const std::vector<RouteShare>& routes, const boost::json::object& details);

} // namespace plimsoll::fleet
