#include "fleet/leak_pairs.hpp"

#include <algorithm>
#include <cmath>

#include "fleet/json_fields.hpp"
#include "fleet/leak_evidence.hpp"

namespace plimsoll::fleet {

namespace json = boost::json;

namespace {

constexpr double least_of_line = 0.1, most_of_line = 1.5; // of what a route leaks: of one line
constexpr double enough_of_route = 0.3;                   // of all lines of a route together
constexpr double of_all_routes = 0.7;                     // of what all routes left behind

class TracedWindow {
public:
    explicit TracedWindow(const json::object& details) {
        const auto* told = details.if_contains("asked");
        if (told == nullptr || !told->is_object()) return;
        requests_ = number(told->get_object(), "requests");
        const auto* routes = told->get_object().if_contains("routes");
        if (routes != nullptr && routes->is_object()) routes_ = &routes->get_object();
    }
    bool known() const { return routes_ != nullptr && requests_ > 0; }
    double requests() const { return requests_; }
    // A group is counted as its bytes are: by its busiest label.
    double asks(const RouteShare& route) const {
        if (route.route == every_route) return requests_;
        double times = 0;
        for (const std::string& label : labels_of(route.route)) times = std::max(times, number(*routes_, label));
        return times;
    }
    // Of one ask of the route.
    double kept(const LeakLine& line, const RouteShare& route) const {
        return line.bytes_per_request * requests_ / asks(route);
    }
    double at_most(const RouteShare& route) const {
        return most_of_line * std::max(route.high, route.bytes_per_request) * (1 + 1 / std::sqrt(asks(route)));
    }
    bool fits(const LeakLine& line, const RouteShare& route) const {
        if (asks(route) <= 0) return false;
        const double bytes = kept(line, route);
        return bytes >= least_of_line * low_of(route) && bytes <= at_most(route);
    }

private:
    double requests_ = 0;
    const json::object* routes_ = nullptr;
};

} // namespace

json::object asked_in(const std::vector<std::string>& names, const std::vector<std::uint64_t>& before,
                      const std::vector<std::uint64_t>& after, double requests) {
    json::object routes;
    for (std::size_t label = 0; label < std::min(names.size(), after.size()); ++label) {
        const std::uint64_t earlier = label < before.size() ? before[label] : 0;
        if (after[label] > earlier) routes[names[label]] = after[label] - earlier;
    }
    return {{"requests", requests}, {"routes", std::move(routes)}};
}

void pair(std::vector<LeakLine>& lines, const std::vector<RouteShare>& routes, const json::object& details) {
    const TracedWindow window(details);
    for (LeakLine& line : lines) {
        line.route.clear();
        if (!window.known()) {
            if (routes.size() == 1) line.route = routes.front().route;
            continue;
        }
        const auto fits = [&](const RouteShare& route) { return window.fits(line, route); };
        if (std::ranges::count_if(routes, fits) == 1) line.route = std::ranges::find_if(routes, fits)->route;
    }
    if (!window.known()) return;
    for (const RouteShare& route : routes) {
        double kept = 0;
        for (const LeakLine& line : lines)
            if (line.route == route.route) kept += window.kept(line, route);
        if (kept <= 0 || (kept >= enough_of_route * low_of(route) && kept <= window.at_most(route))) continue;
        for (LeakLine& line : lines)
            if (line.route == route.route) line.route.clear();
    }
}

bool lines_explain(const std::vector<RouteShare>& routes, const json::object& details) {
    std::vector<LeakLine> lines = claimed_lines(details);
    const TracedWindow window(details);
    if (lines.empty()) return false;
    if (routes.empty() || !window.known()) return true;
    if (window.asks(routes.front()) <= 0) return false;
    pair(lines, routes, details);
    if (std::ranges::find(lines, routes.front().route, &LeakLine::route) != lines.end()) return true;
    double kept = 0, left = 0;
    for (const LeakLine& line : lines) kept += line.bytes_per_request * window.requests();
    for (const RouteShare& route : routes) left += low_of(route) * window.asks(route);
    return kept >= of_all_routes * left;
}

} // namespace plimsoll::fleet
