// What a capture says of a leak: from the agent's findings to those that may be told as its cause. Pure.
//
// That something is large or has grown is no proof: a cache that fills is both. What is told must explain its part of the
// growth that the detector saw, from a tenth to one and a half times, as the agent asks of lines:
//
//   containers  bytes gained / requests served   within the growth?   the first that is --> kept_by
//   types       bytes gained / requests served   likewise, where no container is: the chain that keeps all of its objects that were
//                                                looked at, of the application's own types; lists and dicts are everywhere
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "fleet/leak_life.hpp"
#include "fleet/view.hpp"
#include "plimsoll/leak/advice.hpp"
#include "plimsoll/leak/recurrence.hpp"

namespace plimsoll::fleet {

struct Growth {               // of the worker that was captured
    double low = 0, high = 0; // bytes a request
    double requests = 0;      // served in its life
};

// Puts what an agent answered into the details of the capture's incident. Of its windows, `collected_windows` counts those that
// ended with a full collection: "window" tells of the last one only.
void add_answer(boost::json::object& details, boost::json::object&& answer);
// A window that was collected has ended, and no line explains the growth. One that was not proves nothing: the agent claims
// few lines of it, as cycles that the collector will free are among its traces.
bool traced_in_vain(const boost::json::object& details);
// What survived the last window came from stacks that were cut before a line of the application's own.
bool stacks_were_cut(const boost::json::object& details);

// The details of a leak's incident that follow from a capture's: lines, kept_by, types, retainers, cycles and the like.
// Only the keys that it has something to say of.
boost::json::object evidence_of(const boost::json::object& capture, const Growth& growth);
// What the requests of a window leave behind by what is known of their routes, a request of it. `before` and `after`: asked so
// far, by label. Nothing where no route is known, or none can be counted.
std::optional<Growth> growth_of_routes(const std::vector<RouteShare>& routes, const std::vector<std::string>& names,
                                       const std::vector<std::uint64_t>& before,
                                       const std::vector<std::uint64_t>& after, double requests);
// Those that agree with the growth; the one that explains most in front.
std::vector<LeakLine> claimed_lines(const boost::json::object& details);

inline constexpr std::string_view every_route = "every route", other_routes = "other"; // in the place of labels
// The least that a request to it leaves behind. An interval of few requests may reach below nothing.
inline double low_of(const RouteShare& route) { return route.low > 0 ? route.low : route.bytes_per_request; }
std::vector<std::string> labels_of(const std::string& route); // of a group, "GET /a + GET /b": both
std::vector<RouteShare> routes_in(const boost::json::object& details);
// What most of the open descriptors, threads or children are: "socket, tcp close-wait (412 of 460)". Empty: not known.
std::string mostly_in(const boost::json::object& details, std::string_view what);
// By what the leak is known again: routes with a good part of it, lines, types of the application, kinds of what is open. Not by
// "every route", nor by the one label of a pool that has but one ("POST /graphql": details say "one_route").
leak::Fingerprint fingerprint_of(const boost::json::object& details);
// What the advice goes by (plimsoll/leak/advice.hpp).
leak::AdviceFacts advice_facts(const boost::json::object& details, leak::Class kind, std::string_view what);
// What `after` tells that `before` did not: sentences for the story.
std::vector<std::string> news_of(const boost::json::object& before, const boost::json::object& after,
                                 std::string_view what);

// {worker, generation, limit, marks: [[requests, amount], ...]}: the low-water marks of a life.
boost::json::object growth_of(const LeakLife& life, Watched what);
// Puts it in the place of an earlier one of the same life; the last `most_lives` are kept.
inline constexpr std::size_t most_lives = 6;
void record(boost::json::array& growth, boost::json::object life);

} // namespace plimsoll::fleet
