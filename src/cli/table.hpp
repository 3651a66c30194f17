// Aligned columns for people. Colours only where the caller found a terminal, and never counted as width.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace plimsoll::cli {

enum class Colour : std::uint8_t { none, green, yellow, red, dim, bold };
struct Cell {
    std::string text;
    Colour colour = Colour::none;
    Cell(std::string t, Colour c = Colour::none) : text(std::move(t)), colour(c) {}
    Cell(const char* t, Colour c = Colour::none) : text(t), colour(c) {}
};

std::string painted(std::string_view text, Colour colour, bool colours);

class Table {
public:
    // A heading that begins with '>' is a column of numbers: to the right.
    explicit Table(std::vector<std::string> headings) : headings_(std::move(headings)) {}
    void row(std::vector<Cell> cells) { rows_.push_back(std::move(cells)); }
    bool empty() const { return rows_.empty(); }
    std::size_t size() const { return rows_.size(); }
    std::string text(bool colours, std::string_view indent = "") const;

private:
    std::vector<std::string> headings_;
    std::vector<std::vector<Cell>> rows_;
};

// Columns that a text takes on a terminal: characters of UTF-8, not bytes.
std::size_t width_of(std::string_view text);
// What comes from elsewhere and goes to a terminal: control characters become visible, bad UTF-8 becomes '?'.
std::string printable(std::string_view text);

} // namespace plimsoll::cli
