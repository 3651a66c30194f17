#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>
#include <vector>

#include "admin/charts.hpp"
#include "admin/markup.hpp"

namespace plimsoll::admin {

namespace {

constexpr double width = 860, row = 18, letter = 6.6, least = 1; // pixels; least: of a box that is drawn
constexpr std::size_t most_frames = 20'000, most_depth = 64;     // folded stacks may be any attacker's

struct Frame {
    std::map<std::string_view, std::size_t> inner; // its name -> place in the tree
    double bytes = 0;
};

struct Tree {
    std::vector<Frame> frames{Frame{}};

    void add(std::string_view stack, double bytes) {
        std::size_t at = 0;
        frames[0].bytes += bytes;
        for (std::size_t depth = 0; !stack.empty() && depth < most_depth; ++depth) {
            const std::string_view name = stack.substr(0, stack.find(';'));
            stack.remove_prefix(std::min(name.size() + 1, stack.size()));
            const auto found = frames[at].inner.find(name);
            std::size_t next = found == frames[at].inner.end() ? 0 : found->second;
            if (next == 0) {
                if (frames.size() == most_frames) return;
                next = frames.size();
                frames[at].inner.emplace(name, next);
                frames.emplace_back();
            }
            at = next;
            frames[at].bytes += bytes;
        }
    }
};

// Of a path the end says most: "app/orders.py:41" of "/srv/shop/app/orders.py:41".
std::string fitting(std::string_view name, double space) {
    const auto room = static_cast<std::size_t>(std::max(space / letter, 0.0));
    if (name.size() <= room) return std::string(name);
    if (room < 6) return {};
    std::string_view end = name.substr(name.size() - (room - 3));
    while (!end.empty() && (static_cast<unsigned char>(end.front()) & 0xC0) == 0x80) end.remove_prefix(1);
    return "..." + std::string(end);
}

// Depth first without recursion of ours beyond most_depth.
double draw(const Tree& tree, std::size_t at, double x, std::size_t depth, double scale, std::string& svg) {
    double deepest = static_cast<double>(depth);
    for (const auto& [name, place] : tree.frames[at].inner) {
        const Frame& frame = tree.frames[place];
        const double wide = frame.bytes * scale;
        if (wide >= least) {
            svg += "<g><title>" + escaped(name) + "\n" + bytes_text(frame.bytes) + "</title><rect class=\"flame" +
                   std::to_string(name.size() % 4) + "\" x=\"" + px(x) + "\" y=\"" +
                   px(static_cast<double>(depth) * row) + "\" width=\"" + px(wide) + "\" height=\"" + px(row - 1) +
                   "\"/>";
            if (const std::string text = fitting(name, wide - 6); !text.empty())
                svg += "<text x=\"" + px(x + 3) + "\" y=\"" + px(static_cast<double>(depth) * row + 13) + "\">" +
                       escaped(text) + "</text>";
            svg += "</g>\n";
            deepest = std::max(deepest, draw(tree, place, x, depth + 1, scale, svg));
        }
        x += wide;
    }
    return deepest;
}

} // namespace

std::string flame_graph(std::string_view folded) {
    Tree tree;
    while (!folded.empty()) {
        const std::string_view line = folded.substr(0, folded.find('\n'));
        folded.remove_prefix(std::min(line.size() + 1, folded.size()));
        const auto space = line.rfind(' ');
        if (space == std::string_view::npos) continue;
        double bytes = 0;
        const auto [end, error] =
            std::from_chars(line.data() + space + 1, line.data() + line.size(), bytes, std::chars_format::fixed);
        if (error == std::errc{} && end == line.data() + line.size() && bytes > 0 && bytes < 1e15)
            tree.add(line.substr(0, space), bytes);
    }
    if (tree.frames[0].bytes <= 0) return {};
    std::string boxes;
    const double depth = draw(tree, 0, 0, 0, width / tree.frames[0].bytes, boxes);
    return "<svg class=\"flame\" role=\"img\" viewBox=\"0 0 " + px(width) + " " + px(depth * row) +
           "\" aria-label=\"Allocations that survived the trace, by stack\">\n" + boxes + "</svg>\n";
}

} // namespace plimsoll::admin
