#include "fleet/source/last_words.hpp"

#include <algorithm>
#include <cctype>
#include <vector>

namespace plimsoll::fleet {

namespace {

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const auto end = text.find('\n');
        std::string_view line = text.substr(0, end);
        while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
        if (!line.empty()) lines.push_back(line);
        if (end == std::string_view::npos) break;
        text.remove_prefix(end + 1);
    }
    return lines;
}

// "ModuleNotFoundError: No module named 'app'": a dotted name at the very beginning that ends as Python's do.
bool is_exception(std::string_view line) {
    const auto colon = line.find(':');
    const std::string_view name = line.substr(0, colon);
    const bool dotted = !name.empty() && std::ranges::all_of(name, [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.';
    });
    return dotted && (name.ends_with("Error") || name.ends_with("Exception") || name.ends_with("Exit"));
}

// gunicorn's arbiter says so in a traceback of its own when several workers fail at once: an echo of what they said.
bool is_echo(std::string_view exception) { return exception.find("HaltServer") != std::string_view::npos; }

// What follows the indented lines of the last traceback: its exception, whatever it is called.
std::string_view end_of_traceback(const std::vector<std::string_view>& lines) {
    std::string_view found;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (!lines[i].starts_with("Traceback (most recent call last)")) continue;
        std::size_t end = i + 1;
        while (end < lines.size() && lines[end].front() == ' ') ++end;
        if (end < lines.size() && !is_echo(lines[end])) found = lines[end];
    }
    return found;
}

// gunicorn's word for an application that is not where it should be: "Failed to find attribute 'app' in 'shop'." What it
// logs as errors afterwards ("Reason: App failed to load.") says less.
bool is_failed_load(std::string_view line) {
    return line.starts_with("Failed to find ") || line.starts_with("Failed to parse ");
}

bool is_error(std::string_view line) {
    return line.find("[ERROR]") != std::string_view::npos || line.find("rror: ") != std::string_view::npos ||
           line.starts_with("ERROR");
}

} // namespace

std::string last_exception(std::string_view output) { return std::string(end_of_traceback(lines_of(output))); }

std::string last_words(std::string_view output) {
    const auto lines = lines_of(output);
    if (const auto exception = end_of_traceback(lines); !exception.empty()) return std::string(exception);
    for (auto line = lines.rbegin(); line != lines.rend(); ++line)
        if ((is_exception(*line) && !is_echo(*line)) || is_failed_load(*line)) return std::string(*line);
    for (auto line = lines.rbegin(); line != lines.rend(); ++line)
        if (is_error(*line)) return std::string(*line);
    return lines.empty() ? std::string{} : std::string(lines.back());
}

} // namespace plimsoll::fleet
