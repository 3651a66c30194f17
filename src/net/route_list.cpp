#include "net/route_list.hpp"

#include <algorithm>
#include <array>

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
    ByField<std::size_t> asking; // how many routes ask for each value
    for (const RouteNumber route : routes_)
        for (const HeaderRule& header : rules[route].headers())
            if (header.value()) ++asking[header.name()][*header.value()];
    if (asking.empty()) return;

    index_ = std::make_unique<ByField<Routes>>();
    Routes others;
    for (const RouteNumber route : routes_) {
        const HeaderRule* rarest = nullptr;
        std::size_t fewest = 0;
        for (const HeaderRule& header : rules[route].headers()) {
            if (!header.value()) continue;
            const std::size_t count = asking[header.name()][*header.value()];
            if (!rarest || count < fewest) rarest = &header, fewest = count;
        }
        (rarest ? (*index_)[rarest->name()][*rarest->value()] : others).push_back(route);
    }
    routes_ = std::move(others);
}

RouteNumber RouteList::find(const std::vector<RouteRule>& rules, const RouteQuery& query, RouteNumber best) const {
    best = first_of(routes_, rules, query, best);
    if (!index_ || !query.fields) return best;
    std::array<const Routes*, most_noted> looked_at{}; // a client may send a field again and again
    std::size_t noted = 0;
    for (const http::Field& field : *query.fields) {
        const auto values = index_->find(field.name);
        if (values == index_->end()) continue;
        const auto routes = values->second.find(field.value);
        if (routes == values->second.end()) continue;
        const auto seen = looked_at.begin() + static_cast<std::ptrdiff_t>(noted);
        if (std::find(looked_at.begin(), seen, &routes->second) != seen) continue;
        if (noted < looked_at.size()) looked_at[noted++] = &routes->second;
        best = first_of(routes->second, rules, query, best);
    }
    return best;
}

} // namespace plimsoll::net
