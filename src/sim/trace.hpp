// Requests as a proxy recorded them: the trace of [log] trace (src/net/trace_log.hpp has its form).
//
// One that was refused by the gate, or left while it waited, never held a slot: it gets what others of its route needed
// on average. One that its limits refused (rate, inflight, limit_unknown), or that met a closed door, asked the gate for
// nothing and is left out, since it would be again; not so where the rate of its route is tried anew. What is no such
// line, or holds a number that cannot be, is passed over: a file that is being written ends in half a line.
#pragma once

#include <functional>
#include <istream>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sim/overload_sim.hpp"

namespace plimsoll::sim {

struct Trace {
    std::vector<Traced> requests;    // in the order of their arrival, from 0 on
    std::vector<std::string> routes; // what they are called, and the labels of their routes, by RouteKey; 0 is none
    Duration mean_service{};
    std::size_t left_out = 0, passed_over = 0; // lines
    struct Place {
        std::size_t file = 0, line = 0; // lines from 1 on
    };
    Place first_passed_over; // where there is one
    struct Trouble {         // a file that could not be read to its end: the trace is not whole then
        Place place;
        std::string why;
    };
    std::optional<Trouble> trouble;
};
inline constexpr std::size_t longest_line = 64 << 10; // ten times what the longest of ours can be
inline constexpr std::string_view any_route = "*";
// files: one, or those of one that was rotated, in any order. pool: whose requests; empty: those of the first pool that
// there is one of. rated: routes whose rate is tried anew, by either of their names.
Trace read_trace(const std::vector<std::istream*>& files, std::string pool = {},
                 const std::set<std::string, std::less<>>& rated = {});

} // namespace plimsoll::sim
