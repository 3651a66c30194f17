#include "fleet/process_tree.hpp"

#include <fstream>
#include <iterator>
#include <string>

#include "sense/memory.hpp"

namespace plimsoll::fleet {

namespace {

constexpr std::size_t largest_tree = 64;
constexpr int deepest_ancestor = 16;

} // namespace

std::vector<int> children_of(int pid) {
    const std::string of = std::to_string(pid);
    std::ifstream in("/proc/" + of + "/task/" + of + "/children");
    return {std::istream_iterator<int>(in), {}};
}

std::vector<int> process_tree(int pid) {
    std::vector<int> tree = {pid};
    for (std::size_t i = 0; i < tree.size() && tree.size() < largest_tree; ++i)
        for (const int child : children_of(tree[i])) tree.push_back(child);
    if (tree.size() > largest_tree) tree.resize(largest_tree);
    return tree;
}

bool descends_from(int pid, int ancestor) {
    const sense::Reader proc;
    for (int depth = 0; depth < deepest_ancestor && pid > 0; ++depth) {
        if (pid == ancestor) return true;
        const auto stat = proc.stat(pid);
        if (!stat) return false;
        pid = stat->parent;
    }
    return false;
}

} // namespace plimsoll::fleet
