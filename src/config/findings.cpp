#include "config/findings.hpp"

#include <algorithm>
#include <tuple>

namespace plimsoll::config {
namespace {

// The outer path is the inner one, or a section or list around it.
bool contains(std::string_view outer, std::string_view inner) {
    if (!inner.starts_with(outer)) return false;
    return inner.size() == outer.size() || inner[outer.size()] == '.' || inner[outer.size()] == '[';
}

std::vector<Problem> by_line(std::vector<Problem> list) {
    std::stable_sort(list.begin(), list.end(), [](const Problem& a, const Problem& b) {
        return std::tie(a.line, a.column) < std::tie(b.line, b.column);
    });
    return list;
}

} // namespace

std::string without_indices(std::string_view path) {
    std::string shown;
    bool inside = false;
    for (char c : path) {
        if (c == '[') inside = true;
        if (!inside) shown += c;
        if (c == ']') inside = false;
    }
    return shown;
}

Position Findings::position(std::string path) const {
    while (!path.empty()) {
        if (auto found = positions_.find(path); found != positions_.end()) return found->second;
        auto end = path.find_last_of(".[");
        path.resize(end == std::string::npos ? 0 : end);
    }
    return {};
}

void Findings::problem(const std::string& path, std::string message, std::string suggestion) {
    problem_at(position(path), path, std::move(message), std::move(suggestion));
}

void Findings::problem_at(Position position, const std::string& path, std::string message, std::string suggestion) {
    doubt(path);
    problems_.push_back({.file = file_,
                         .line = position.line,
                         .column = position.column,
                         .key = without_indices(path),
                         .message = std::move(message),
                         .suggestion = std::move(suggestion)});
}

void Findings::warning(const std::string& path, std::string message) {
    auto where = position(path);
    warnings_.push_back({.file = file_,
                         .line = where.line,
                         .column = where.column,
                         .key = without_indices(path),
                         .message = std::move(message),
                         .suggestion = {}});
}

bool Findings::sound(std::string_view path) const {
    return std::none_of(unsound_.begin(), unsound_.end(), [path](const std::string& unsound) {
        return contains(path, unsound) || contains(unsound, path);
    });
}

std::vector<Problem> Findings::problems() const { return by_line(problems_); }
std::vector<Problem> Findings::warnings() const { return by_line(warnings_); }

std::string to_string(const Problem& problem) {
    std::string text = problem.file;
    if (problem.line != 0) text += ":" + std::to_string(problem.line) + ":" + std::to_string(problem.column);
    text += ": ";
    if (!problem.key.empty()) text += problem.key + ": ";
    text += problem.message;
    if (!problem.suggestion.empty()) text += " (did you mean " + problem.suggestion + "?)";
    return text;
}

} // namespace plimsoll::config
