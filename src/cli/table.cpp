#include "cli/table.hpp"

#include <algorithm>

#include "plimsoll/core/text.hpp"

namespace plimsoll::cli {
namespace {

std::string_view code_of(Colour colour) {
    switch (colour) {
    case Colour::green: return "\x1b[32m";
    case Colour::yellow: return "\x1b[33m";
    case Colour::red: return "\x1b[31m";
    case Colour::dim: return "\x1b[2m";
    case Colour::bold: return "\x1b[1m";
    case Colour::none: break;
    }
    return "";
}

} // namespace

std::string painted(std::string_view text, Colour colour, bool colours) {
    if (!colours || colour == Colour::none) return std::string(text);
    return std::string(code_of(colour)) + std::string(text) + "\x1b[0m";
}

std::size_t width_of(std::string_view text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string printable(std::string_view text) {
    std::string shown;
    while (!text.empty()) {
        auto [code, length] = first_character(text);
        if (code == '\n' || code == '\t')
            shown += ' ';
        else if (length == 0 || is_control(code))
            shown += '?';
        else
            shown += text.substr(0, length);
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return shown;
}

std::string Table::text(bool colours, std::string_view indent) const {
    std::vector<std::size_t> widths;
    for (const auto& heading : headings_) widths.push_back(width_of(heading) - (heading.starts_with('>') ? 1 : 0));
    for (const auto& row : rows_)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i].text));

    std::string out;
    auto line = [&](const std::vector<Cell>& cells) {
        std::string text(indent);
        for (std::size_t i = 0; i < cells.size(); ++i) {
            std::string padding(widths[i] - width_of(cells[i].text), ' ');
            bool right = headings_[i].starts_with('>');
            bool last = i + 1 == cells.size();
            if (right) text += padding;
            text += painted(cells[i].text, cells[i].colour, colours);
            if (!right && !last) text += padding;
            if (!last) text += "  ";
        }
        out += text + "\n";
    };
    std::vector<Cell> heads;
    for (const auto& heading : headings_)
        heads.emplace_back(heading.substr(heading.starts_with('>') ? 1 : 0), Colour::dim);
    line(heads);
    for (const auto& row : rows_) line(row);
    return out;
}

} // namespace plimsoll::cli
