// Routes that ask for the same host and path, in their order: which is the first that takes this request?
//
//   few    asked one after the other
//   many   "X-Tenant: 4711" --hash of name, then of value--> those that ask for it,       -.
//          "X-Tenant"       --hash of name---------------> presence, or an expression,    -+- each in its order; the lowest wins
//          those that ask for no field                                                    -'
//
// A route that asks for several fields stands under the value, else under the name, that fewest others ask for. What remains
// linear is many routes of one path that ask for an expression of one and the same field. (Those that differ in the method alone
// are few: a second route for a method would never be reached.)
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/route_rule.hpp"

namespace plimsoll::net {

using RouteNumber = std::uint32_t; // its place in the file
inline constexpr RouteNumber no_route = ~RouteNumber{0};

class RouteList {
public:
    void add(RouteNumber route) { routes_.push_back(route); } // in rising order
    void index(const std::vector<RouteRule>& rules);          // when all are there

    // The first below `best` whose method and headers match; else `best`.
    RouteNumber find(const std::vector<RouteRule>& rules, const RouteQuery& query, RouteNumber best) const;

private:
    using Routes = std::vector<RouteNumber>;
    struct ValueHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view value) const { return std::hash<std::string_view>{}(value); }
    };
    template <class Mapped>
    struct Asked { // of one field
        std::unordered_map<std::string, Mapped, ValueHash, std::equal_to<>> by_value;
        Mapped by_name{}; // for its presence, or an expression
        Mapped& of(const HeaderRule& header) { return header.value() ? by_value[*header.value()] : by_name; }
    };
    template <class Mapped>
    using ByField = std::unordered_map<std::string, Asked<Mapped>, http::IHash, http::IEqual>;

    Routes routes_; // with an index: those that stand in none of its lists
    std::unique_ptr<ByField<Routes>> index_;
};

} // namespace plimsoll::net
