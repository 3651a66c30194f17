#include "net/path_tree.hpp"

#include <algorithm>
#include <utility>

namespace plimsoll::net {
namespace {

constexpr auto by_first = [](const auto& child, unsigned char first) { return child.first < first; };

} // namespace

std::uint32_t PathTree::child(const Node& node, char first) const {
    const auto wanted = static_cast<unsigned char>(first);
    const auto found = std::lower_bound(node.children.begin(), node.children.end(), wanted, by_first);
    return found != node.children.end() && found->first == wanted ? found->node : no_route;
}

// By value: a text that stands in another node would move when the nodes do.
std::uint32_t PathTree::make_node(std::string text) {
    nodes_.emplace_back().text = std::move(text);
    return static_cast<std::uint32_t>(nodes_.size() - 1);
}

// The node keeps the first `size` bytes of its text; a child gets the rest, and all that the node held.
void PathTree::split(std::uint32_t at, std::size_t size) {
    const auto tail = make_node(nodes_[at].text.substr(size));
    Node& node = nodes_[at];
    Node& rest = nodes_[tail];
    rest.lowest = node.lowest;
    rest.children.swap(node.children);
    std::swap(rest.prefixes, node.prefixes);
    std::swap(rest.exact, node.exact);
    node.text.resize(size);
    node.children.push_back({static_cast<unsigned char>(rest.text.front()), tail});
}

void PathTree::add(std::string_view path, bool exact, RouteNumber route) {
    if (nodes_.empty()) make_node({});
    std::uint32_t at = 0;
    while (true) {
        const auto& text = nodes_[at].text;
        const auto differs = std::mismatch(text.begin(), text.end(), path.begin(), path.end()).first;
        const auto shared = static_cast<std::size_t>(differs - text.begin());
        if (shared < text.size()) split(at, shared);
        path.remove_prefix(shared);
        nodes_[at].lowest = std::min(nodes_[at].lowest, route);
        if (path.empty()) break;
        auto next = child(nodes_[at], path.front());
        if (next == no_route) {
            next = make_node(std::string(path));
            auto& children = nodes_[at].children;
            const auto first = static_cast<unsigned char>(path.front());
            children.insert(std::lower_bound(children.begin(), children.end(), first, by_first), {first, next});
        }
        at = next;
    }
    (exact ? nodes_[at].exact : nodes_[at].prefixes).add(route);
}

} // namespace plimsoll::net
