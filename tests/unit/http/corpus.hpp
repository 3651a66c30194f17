// Reads tests/corpus/http/*.txt; the format stands on top of those files.
#pragma once

#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace corpus {

struct Case {
    std::string name, section, verdict; // "accept 2", "refuse 400", "incomplete"
    std::string bytes;
    std::map<std::string, std::string> expected;
};

inline std::string unescape(const std::string& line) {
    std::string out;
    for (std::size_t i = 0; i < line.size(); ++i) {
        if (line[i] != '\\') {
            out += line[i];
            continue;
        }
        switch (line.at(++i)) {
        case 'r': out += '\r'; break;
        case 'n': out += '\n'; break;
        case 't': out += '\t'; break;
        case '\\': out += '\\'; break;
        case 'x':
            out += static_cast<char>(std::stoi(line.substr(i + 1, 2), nullptr, 16));
            i += 2;
            break;
        case '{': {
            const std::size_t colon = line.find(':', i), close = line.find('}', i);
            const std::string text = unescape(line.substr(colon + 1, close - colon - 1));
            for (int n = std::stoi(line.substr(i + 1, colon - i - 1)); n > 0; --n) out += text;
            i = close;
            break;
        }
        default: throw std::runtime_error("unknown escape in: " + line);
        }
    }
    return out;
}

inline std::vector<Case> load(const std::string& path) {
    std::ifstream file(path);
    if (!file) throw std::runtime_error("cannot read " + path + ": run from the repository's root");
    std::vector<Case> cases;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("== ")) {
            const std::size_t first = line.find(" | "), last = line.rfind(" | ");
            cases.push_back(
                {line.substr(3, first - 3), line.substr(first + 3, last - first - 3), line.substr(last + 3), {}, {}});
        } else if (line.starts_with("> ")) {
            const std::size_t space = line.find(' ', 2);
            cases.back().expected[line.substr(2, space - 2)] =
                space == std::string::npos ? "" : unescape(line.substr(space + 1));
        } else if (!line.empty() && !line.starts_with('#')) {
            cases.back().bytes += unescape(line);
        }
    }
    return cases;
}

} // namespace corpus
