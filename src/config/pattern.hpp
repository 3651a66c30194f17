// Regular expressions of the configuration, searched for in what clients send.
//
// The time a search takes is linear in the text whatever the expression (RE2's automata): no client can make one explode,
// which a backtracking engine allows ("(a+)+$"). The price is that look-around and back references do not exist.
// Texts are bytes, not characters: a decoded path may be any bytes.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace plimsoll::config {

inline constexpr std::size_t longest_pattern = 1024; // longer ones are generated, and belong into several routes

class Pattern {
public:
    explicit Pattern(std::string_view expression);
    ~Pattern();
    Pattern(Pattern&&) noexcept;
    Pattern& operator=(Pattern&&) noexcept;

    const std::string& problem() const { return problem_; } // empty: it compiled. One that did not matches nothing
    bool found_in(std::string_view text) const;

private:
    struct Compiled;
    std::unique_ptr<const Compiled> compiled_;
    std::string problem_;
};

// Many patterns, searched for at once: one pass over the text tells which of them it holds.
class PatternSet {
public:
    PatternSet();
    ~PatternSet();
    PatternSet(PatternSet&&) noexcept;
    PatternSet& operator=(PatternSet&&) noexcept;

    void add(std::string_view expression); // numbered from 0; one that does not compile is never found
    void compile();
    // False: the automaton ran out of its memory, so search for each one by itself. Else `found` holds their numbers, rising.
    bool search(std::string_view text, std::vector<int>& found) const;

private:
    struct Compiled;
    std::unique_ptr<Compiled> compiled_;
};

} // namespace plimsoll::config
