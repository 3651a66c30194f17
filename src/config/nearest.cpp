#include "config/nearest.hpp"

#include <algorithm>
#include <cctype>
#include <utility>
#include <vector>

namespace plimsoll::config {
namespace {

char folded(char c) { return c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

// Longer words are not keys of ours: a bound on work that grows with the square.
constexpr std::size_t longest_word = 64;

constexpr std::size_t shortest_beginning = 4; // of a word, that says which one is meant

// What other programs call it.
constexpr std::pair<std::string_view, std::string_view> other_names[] = {
    {"high", "critical"},  {"low", "sheddable"},  {"medium", "normal"},   {"default", "normal"}, {"on", "enforce"},
    {"dry_run", "shadow"}, {"disabled", "off"},   {"env", "environment"}, {"uri", "path"},       {"url", "path"},
    {"code", "status"},    {"listen", "address"}, {"bind", "address"},    {"port", "address"},   {"location", "path"},
    {"args", "command"},   {"cmd", "command"},
};

bool same(std::string_view a, std::string_view b) { return a.size() == b.size() && edit_distance(a, b) == 0; }

bool begins_alike(std::string_view a, std::string_view b) {
    const auto shorter = std::min(a.size(), b.size());
    return shorter >= shortest_beginning && same(a.substr(0, shorter), b.substr(0, shorter));
}

} // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> two_back, back(b.size() + 1), row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) back[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            bool same = folded(a[i - 1]) == folded(b[j - 1]);
            row[j] = std::min({back[j] + 1, row[j - 1] + 1, back[j - 1] + (same ? 0 : 1)});
            bool swapped =
                i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) && folded(a[i - 2]) == folded(b[j - 1]);
            if (swapped) row[j] = std::min(row[j], two_back[j - 2] + 1);
        }
        two_back = back;
        back = row;
    }
    return back[b.size()];
}

std::string nearest(std::string_view word, std::span<const std::string> known) {
    if (word.empty() || word.size() > longest_word) return {};
    for (const auto& [other, ours] : other_names)
        if (same(word, other) && std::ranges::find(known, ours) != known.end()) return std::string(ours);
    std::string best;
    std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
    for (const auto& candidate : known) {
        auto distance = edit_distance(word, candidate);
        if (distance < best_distance && distance < candidate.size()) {
            best = candidate;
            best_distance = distance;
        }
    }
    if (!best.empty()) return best;
    const auto found = std::ranges::find_if(known, [word](const auto& each) { return begins_alike(word, each); });
    return found == known.end() ? std::string() : *found;
}

} // namespace plimsoll::config
