#include "fleet/process_tree.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

#include "sense/memory.hpp"

namespace plimsoll::fleet {

namespace {

constexpr std::size_t largest_tree = 64;
constexpr std::size_t longest_lineage = 16;

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

std::vector<int> lineage(int pid) {
    const sense::Reader proc;
    std::vector<int> line;
    while (pid > 0 && line.size() < longest_lineage) {
        line.push_back(pid);
        const auto stat = proc.stat(pid);
        pid = stat ? stat->parent : 0;
    }
    return line;
}

bool descends_from(int pid, int ancestor) {
    const std::vector<int> line = lineage(pid);
    return std::ranges::find(line, ancestor) != line.end();
}

std::optional<sense::Statm> statm_of_tree(const sense::Reader& reader, int pid) {
    std::optional<sense::Statm> sum;
    for (const int each : process_tree(pid)) {
        const auto statm = reader.statm(each);
        if (!statm) continue;
        if (!sum) sum.emplace();
        sum->rss = sum->rss + statm->rss;
        sum->shared = sum->shared + statm->shared;
    }
    return sum;
}

sense::Opened opened_of_tree(const sense::Reader& reader, int pid) {
    sense::Opened sum = reader.opened(pid);
    const auto add = [](std::optional<std::int64_t>& all, std::optional<std::int64_t> more) {
        if (more) all = all.value_or(0) + *more;
    };
    sum.children = 0;
    for (const int each : process_tree(pid)) {
        if (each == pid) continue;
        const sense::Opened opened = reader.opened(each);
        add(sum.descriptors, opened.descriptors);
        add(sum.threads, opened.threads);
        ++*sum.children;
    }
    return sum;
}

} // namespace plimsoll::fleet
