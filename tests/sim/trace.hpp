// Requests as a proxy recorded them: its access log in JSON ([log] format = "json", access = true, and
// "priority" among its access_fields).
//
// A line is written when a request ends, and says how long it took and how long it waited: so it arrived at time - seconds, and
// held its slot for seconds - queue_seconds. One that was refused never held a slot; it gets what others of its route
// needed on average. What is no such line is passed over.
#pragma once

#include <istream>
#include <string>
#include <vector>

#include "sim/overload_sim.hpp"

namespace plimsoll::sim {

struct Trace {
    std::vector<Traced> requests;    // in the order of their arrival, from 0 on
    std::vector<std::string> routes; // their labels, by RouteKey; 0 is none
    Duration mean_service{};
    std::size_t passed_over = 0; // lines
};
Trace read_trace(std::istream& log);

} // namespace plimsoll::sim
