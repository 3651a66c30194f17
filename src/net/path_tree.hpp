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

#include "net/route_list.hpp"

namespace plimsoll::net {

class PathTree {
public:
    void add(std::string_view path, bool exact, RouteNumber route); // in rising order of `route`

    // Shows `look` all lists that may hold a route below `best` for this path; it returns what it found, or the `best` that it
    // was given.
    template <class Look>
    RouteNumber walk(std::string_view path, RouteNumber best, Look look) const {
        for (std::uint32_t at = 0; at < nodes_.size() && nodes_[at].lowest < best;) {
            const Node& node = nodes_[at];
            if (!path.starts_with(node.text)) break;
            path.remove_prefix(node.text.size());
            best = look(node.prefixes, best);
            if (path.empty()) return look(node.exact, best);
            at = child(node, path.front());
        }
        return best;
    }
    template <class Change>
    void for_each_list(Change change) {
        for (Node& node : nodes_) change(node.prefixes), change(node.exact);
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
        RouteList prefixes, exact;
    };
    std::uint32_t child(const Node& node, char first) const; // past the end: none
    std::uint32_t make_node(std::string text);
    void split(std::uint32_t at, std::size_t size);

    std::vector<Node> nodes_; // [0] is the root
};

} // namespace plimsoll::net
