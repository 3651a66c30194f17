// What reading a file brings to light: where each key stands, and what is wrong with it.
//
// Keys are known by their full path with indices ("pool[1].recycle.soft_limit"); what a human sees leaves the indices
// out, because the line tells which one is meant.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/parse.hpp"

namespace plimsoll::config {

struct Position {
    unsigned line = 0, column = 0;
};

// "pool.recycle.soft_limit", as it is shown and written.
std::string without_indices(std::string_view path);

class Findings {
public:
    explicit Findings(std::string_view file) : file_(file) {}

    void locate(const std::string& path, Position position) { positions_[path] = position; }
    bool stands(const std::string& path) const { return positions_.contains(path); } // the file has this key
    // Of the key, else of the innermost section around it that the file has.
    Position position(std::string path) const;

    void problem(const std::string& path, std::string message, std::string suggestion = {});
    void problem_at(Position position, const std::string& path, std::string message, std::string suggestion = {});
    void warning(const std::string& path, std::string message);

    // No problem so far with this key, one inside it or a section around it: a rule about several keys asks first, so
    // that one mistake is not reported twice.
    bool sound(std::string_view path) const;
    void doubt(const std::string& path) {
        unsound_.push_back(path);
    } // its value is not what was meant, and that is told

    std::vector<Problem> problems() const; // by line
    std::vector<Problem> warnings() const; // by line

private:
    std::string file_;
    std::map<std::string, Position> positions_;
    std::vector<std::string> unsound_;
    std::vector<Problem> problems_, warnings_;
};

} // namespace plimsoll::config
