// Exact and prefix paths as a radix tree: one walk down along a request's path meets all routes that may match it.
//
//            /                       "/", "/api", "/apiary", "=/login"
//        .---+-----.
//       api       login (exact)      a node holds the routes whose path ends there; `lowest` is that of its whole subtree,
//        '- ary                      so that a walk stops where nothing can beat the route that was found already
//
// D. R. Morrison, "PATRICIA" (1968); nodes in one vector, children sorted by their first byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace plimsoll::net {

using RouteNumber = std::uint32_t; // its place in the file
inline constexpr RouteNumber no_route = ~RouteNumber{0};

class PathTree {
public:
    void add(std::string_view path, bool exact, RouteNumber route); // in rising order of `route`

    // The lowest route below `best` that matches the path and that `accepts` says yes to; else `best`.
    template <class Accepts>
    RouteNumber find(std::string_view path, RouteNumber best, Accepts accepts) const {
        const auto consider = [&](const std::vector<RouteNumber>& routes) {
            for (const RouteNumber route : routes) {
                if (route >= best) return;
                if (accepts(route)) best = route;
            }
        };
        for (std::uint32_t at = 0; at < nodes_.size() && nodes_[at].lowest < best;) {
            const Node& node = nodes_[at];
            if (!path.starts_with(node.text)) break;
            path.remove_prefix(node.text.size());
            consider(node.prefixes);
            if (path.empty()) {
                consider(node.exact);
                break;
            }
            at = child(node, path.front());
        }
        return best;
    }

private:
    struct Child {
        unsigned char first;
        std::uint32_t node;
    };
    struct Node {
        std::string text; // what the path must go on with
        RouteNumber lowest = no_route;
        std::vector<Child> children;
        std::vector<RouteNumber> prefixes, exact;
    };
    std::uint32_t child(const Node& node, char first) const; // past the end: none
    std::uint32_t make_node(std::string text);
    void split(std::uint32_t at, std::size_t size);

    std::vector<Node> nodes_; // [0] is the root
};

} // namespace plimsoll::net
