#include "config/syntax.hpp"

#include <algorithm>
#include <cctype>
#include <vector>

namespace plimsoll::config {
namespace {

constexpr std::size_t lines_looked_at = 10'000; // of a file that is refused anyway

std::string_view trimmed(std::string_view line) {
    const auto begin = std::min(line.find_first_not_of(" \t"), line.size());
    return line.substr(begin, line.find_last_not_of(" \t\r") + 1 - begin);
}

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty() && lines.size() < lines_looked_at) {
        const auto end = std::min(text.find('\n'), text.size());
        lines.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

bool holds(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

// Of a line that TOML cannot read.
std::string_view language_of(std::string_view line) {
    line = trimmed(line);
    const auto word = line.substr(0, line.find_first_of(" \t:"));
    for (const std::string_view section : {"frontend", "backend", "global", "defaults", "listen", "bind", "option"})
        if (word == section && !line.ends_with(';') && !line.ends_with('{')) return "HAProxy's";
    if (line.ends_with(';') || line.ends_with('{')) return "nginx's";
    if (line.ends_with(':') || line.starts_with("- ") || holds(line, ": ")) return "YAML";
    return {};
}

std::string_view advice(std::string_view error, std::string_view line) {
    const auto value = trimmed(line.substr(std::min(line.find('='), line.size())));
    if (holds(error, "unknown escape sequence"))
        return "in double quotes a backslash begins an escape: write regular expressions in single quotes: "
               "'~^/v1\\.0/'";
    if (holds(error, "leading zeroes are prohibited")) return "write it in quotes, as socket_mode = \"0660\"";
    if (holds(value, "\u201c") || holds(value, "\u201d") || holds(value, "\u2018") || holds(value, "\u2019"))
        return "write straight quotes, \"...\" or '...', in place of the curly ones";
    for (const std::string_view word : {"yes", "no", "on", "off", "True", "False", "TRUE", "FALSE"})
        if (trimmed(value.substr(std::min<std::size_t>(1, value.size()))) == word)
            return "write true or false, and a word such as \"off\" in quotes";
    if (holds(error, "expected digit, saw") || holds(error, "could not determine value type") ||
        holds(error, "Error while parsing time") || holds(error, "Error while parsing date"))
        return "all but numbers, true and false stands in quotes: \"30s\", \"512MiB\", \"127.0.0.1:8080\"";
    return {};
}

// "pool" of "[pool.source]" and "[[pool]]"; empty: no header.
std::string_view header(std::string_view line) {
    line = trimmed(line);
    if (!line.starts_with('[')) return {};
    line.remove_prefix(line.starts_with("[[") ? 2 : 1);
    return line.substr(0, line.find(']'));
}

bool begins_element(std::string_view line, std::string_view name) {
    const auto around = name.substr(0, name.rfind('.') == name.npos ? 0 : name.rfind('.'));
    return !around.empty() && trimmed(line).starts_with("[[") && header(line) == around;
}

// The header of this name that came first, in the same element of a list; 0: none is seen.
unsigned first_of(const std::vector<std::string_view>& lines, std::string_view name, unsigned before) {
    unsigned found = 0;
    for (unsigned i = 0; i + 1 < before && i < lines.size(); ++i) {
        if (begins_element(lines[i], name)) found = 0;
        if (header(lines[i]) == name && found == 0) found = i + 1;
    }
    return found;
}

SyntaxError list_after_table(const std::vector<std::string_view>& lines, std::string_view name, SyntaxError error) {
    for (unsigned i = 0; i + 1 < error.position.line && i < lines.size(); ++i) {
        const auto first = header(lines[i]);
        const bool itself = first == name;
        if (!itself && !(first.starts_with(name) && first.substr(name.size()).starts_with('.'))) continue;
        const auto column = static_cast<unsigned>(lines[i].find('[') + 1);
        const auto shown = std::string(name);
        const bool many = name == "listener" || name == "route" || name == "route.limit" || name == "pool";
        if (itself && !many) return error;
        if (itself) return {{i + 1, column}, "there may be several: write it with double brackets, [[" + shown + "]]"};
        return {{i + 1, column},
                "a [[" + shown + "]]" + (name == "pool" ? " (with a name)" : "") + " must stand before its " +
                    std::string(trimmed(lines[i]))};
    }
    return error;
}

} // namespace

SyntaxError explained(std::string_view text, SyntaxError error) {
    const auto lines = lines_of(text);
    const auto at = error.position.line;
    if (at == 0 || at > lines.size()) return error;
    const auto line = lines[at - 1];
    if (holds(error.message, "expected '=', saw") || holds(error.message, "expected keys, tables")) {
        if (const auto language = language_of(line); !language.empty())
            error.message += ": this looks like " + std::string(language) + (language == "YAML" ? "" : " syntax") +
                             ", and a configuration of Plimsoll is TOML: [section], then key = \"value\"";
        return error;
    }
    const std::string_view again = "cannot redefine existing table '";
    if (const auto begin = error.message.find(again); begin != std::string::npos) {
        const auto rest = error.message.substr(begin + again.size());
        const auto name = rest.substr(0, rest.find('\''));
        if (rest.ends_with("as array-of-tables")) return list_after_table(lines, name, std::move(error));
        if (const auto first = first_of(lines, name, at); first != 0)
            error.message = "[" + name + "] stands on line " + std::to_string(first) + " already: keep one of them";
        return error;
    }
    if (const auto more = advice(error.message, line); !more.empty()) error.message += ": " + std::string(more);
    return error;
}

} // namespace plimsoll::config
