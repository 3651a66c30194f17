#include "net/route_list.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace plimsoll::net {
namespace {

constexpr std::size_t few = 8; // up to here it costs less to ask each
constexpr std::size_t most_noted = 16;

RouteNumber first_of(const std::vector<RouteNumber>& routes, const std::vector<RouteRule>& rules,
                     const RouteQuery& query, RouteNumber best) {
    for (const RouteNumber route : routes) {
        if (route >= best) break;
        if (rules[route].rest_matches(query)) return route;
    }
    return best;
}

} // namespace

void RouteList::index(const std::vector<RouteRule>& rules) {
    if (routes_.size() <= few) return;
    ByField<std::size_t> asking; // how many routes ask for each value, and for each field
    for (const RouteNumber route : routes_)
        for (const HeaderRule& header : rules[route].headers()) ++asking[header.name()].of(header);
    if (asking.empty()) return;

    index_ = std::make_unique<ByField<Routes>>();
    Routes others;
    for (const RouteNumber route : routes_) {
        const auto rank = [&](const HeaderRule& header) { // a value tells more than a name
            return std::pair(!header.value().has_value(), asking[header.name()].of(header));
        };
        const auto& headers = rules[route].headers();
        const auto rarest = std::ranges::min_element(headers, {}, rank);
        (rarest == headers.end() ? others : (*index_)[rarest->name()].of(*rarest)).push_back(route);
    }
    routes_ = std::move(others);
}

RouteNumber RouteList::find(const std::vector<RouteRule>& rules, const RouteQuery& query, RouteNumber best) const {
    best = first_of(routes_, rules, query, best);
    if (!index_ || !query.fields) return best;
    std::array<const Routes*, most_noted> looked_at{}; // a client may send a field again and again
    std::size_t noted = 0;
    const auto look_at = [&](const Routes& routes) {
        const auto seen = looked_at.begin() + static_cast<std::ptrdiff_t>(noted);
        if (routes.empty() || std::find(looked_at.begin(), seen, &routes) != seen) return;
        if (noted < looked_at.size()) looked_at[noted++] = &routes;
        best = first_of(routes, rules, query, best);
    };
    for (const http::Field& field : *query.fields) {
        const auto asked = index_->find(field.name);
        if (asked == index_->end()) continue;
        look_at(asked->second.by_name);
        const auto routes = asked->second.by_value.find(field.value);
        if (routes != asked->second.by_value.end()) look_at(routes->second);
    }
    return best;
}

} // namespace plimsoll::net
