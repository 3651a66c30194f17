#include "fleet/process_evidence.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <unordered_map>

#include <sys/stat.h>

#include "fleet/process_tree.hpp"

namespace plimsoll::fleet {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t most_mappings = 60, most_kinds = 20, most_descriptors = 4096, most_threads = 4096,
                      most_sockets = 20'000;

std::string first_line(const std::string& path) {
    std::ifstream in(path);
    std::string line;
    std::getline(in, line);
    return line;
}

template <class Visit>
void each_entry(const std::string& folder, std::size_t most, Visit visit) {
    std::error_code bad;
    for (fs::directory_iterator entry(folder, bad), end; !bad && entry != end && most-- > 0; entry.increment(bad))
        visit(entry->path().filename().string());
}

using Counts = std::map<std::string, std::int64_t>;

boost::json::object largest(const Counts& counts) {
    std::vector<std::pair<std::string, std::int64_t>> rows(counts.begin(), counts.end());
    std::ranges::stable_sort(rows, [](const auto& a, const auto& b) { return a.second > b.second; });
    boost::json::object told;
    for (std::size_t i = 0; i < std::min(rows.size(), most_kinds); ++i) told[rows[i].first] = rows[i].second;
    return told;
}

const char* kind_of(mode_t mode) {
    if (S_ISREG(mode)) return "file";
    if (S_ISSOCK(mode)) return "socket";
    if (S_ISFIFO(mode)) return "pipe";
    if (S_ISDIR(mode)) return "directory";
    if (S_ISCHR(mode)) return "device";
    return "other"; // epoll, eventfd and the like
}

Counts descriptors_of(const std::string& process) {
    std::vector<std::pair<std::uint64_t, std::string>> sockets;
    for (const char* table : {"tcp", "tcp6", "udp", "udp6", "unix"}) {
        std::ifstream in(process + "/net/" + table);
        read_sockets(in, std::string_view(table).substr(0, std::string_view(table).find('6')), sockets);
    }
    const std::unordered_map<std::uint64_t, std::string> by_inode(sockets.begin(), sockets.end());
    Counts counts;
    each_entry(process + "/fd", most_descriptors, [&](const std::string& name) {
        struct stat found {};
        if (::stat((process + "/fd/" + name).c_str(), &found) != 0) return; // closed meanwhile
        std::string kind = kind_of(found.st_mode);
        if (kind == "socket") {
            const auto known = by_inode.find(found.st_ino);
            kind += ", " + (known == by_inode.end() ? std::string("other") : known->second);
        }
        ++counts[kind];
    });
    return counts;
}

Counts threads_of(const std::string& process) {
    Counts counts;
    each_entry(process + "/task", most_threads, [&](const std::string& thread) {
        const std::string name = first_line(process + "/task/" + thread + "/comm");
        if (!name.empty()) ++counts[name];
    });
    return counts;
}

Counts children_by_program(const std::string& process, const std::string& proc) {
    Counts counts;
    each_entry(process + "/task", most_threads, [&](const std::string& thread) {
        std::istringstream pids(first_line(process + "/task/" + thread + "/children"));
        for (int pid = 0; pids >> pid;) {
            const std::string stat = first_line(proc + "/" + std::to_string(pid) + "/stat");
            const auto ends = stat.rfind(')'), begins = stat.find('(');
            if (ends == std::string::npos || ends + 2 >= stat.size()) continue;
            ++counts[stat[ends + 2] == 'Z' ? "zombie (ended, not waited for)"
                                           : stat.substr(begins + 1, ends - begins - 1)];
        }
    });
    return counts;
}

std::int64_t kilobytes(std::string_view text) {
    const auto at = text.find_first_of("0123456789");
    std::int64_t number = 0;
    if (at != std::string_view::npos) std::from_chars(text.data() + at, text.data() + text.size(), number);
    return number * 1024;
}

boost::json::array mappings_of(const std::string& process) {
    std::ifstream in(process + "/smaps");
    std::vector<Mapping> mappings = read_smaps(in);
    if (mappings.size() > most_mappings) {
        Mapping rest{"(others)"};
        for (std::size_t i = most_mappings; i < mappings.size(); ++i) {
            rest.count += mappings[i].count;
            rest.size += mappings[i].size;
            rest.rss += mappings[i].rss;
            rest.anon += mappings[i].anon;
            rest.swap += mappings[i].swap;
        }
        mappings.resize(most_mappings);
        mappings.push_back(rest);
    }
    boost::json::array told;
    for (const Mapping& each : mappings)
        told.push_back({{"name", each.name},
                        {"count", each.count},
                        {"size", each.size},
                        {"rss", each.rss},
                        {"anon", each.anon},
                        {"swap", each.swap}});
    return told;
}

} // namespace

std::vector<Mapping> read_smaps(std::istream& smaps) {
    std::map<std::string, Mapping> by_name;
    Mapping* current = nullptr;
    for (std::string line; std::getline(smaps, line);) {
        const std::string_view text(line);
        const auto word = text.substr(0, text.find(' '));
        if (word.find('-') != std::string_view::npos) { // 7f12-7f34 rw-p 00000000 08:01 1234    /usr/lib/libc.so.6
            std::istringstream fields(line);
            std::string skipped, name;
            for (int i = 0; i < 5; ++i) fields >> skipped;
            std::getline(fields >> std::ws, name);
            if (name.empty()) name = "anonymous";
            current = &by_name[name];
            current->name = name;
            ++current->count;
        } else if (current != nullptr) {
            if (word == "Size:") current->size += kilobytes(text);
            if (word == "Rss:") current->rss += kilobytes(text);
            if (word == "Anonymous:") current->anon += kilobytes(text);
            if (word == "Swap:") current->swap += kilobytes(text);
        }
    }
    std::vector<Mapping> mappings;
    for (auto& [name, mapping] : by_name) mappings.push_back(std::move(mapping));
    std::ranges::stable_sort(mappings, [](const Mapping& a, const Mapping& b) {
        return std::pair(a.anon + a.swap, a.rss) > std::pair(b.anon + b.swap, b.rss);
    });
    return mappings;
}

void read_sockets(std::istream& table, std::string_view protocol,
                  std::vector<std::pair<std::uint64_t, std::string>>& into) {
    static constexpr std::array<const char*, 12> states = {"?",          "established", "syn-sent",  "syn-received",
                                                           "fin-wait",   "fin-wait",    "time-wait", "closed",
                                                           "close-wait", "last-ack",    "listening", "closing"};
    const std::size_t column = protocol == "unix" ? 6 : 9;
    std::string line;
    std::getline(table, line); // the heading
    for (std::size_t row = 0; row < most_sockets && std::getline(table, line); ++row) {
        std::istringstream in(line);
        std::vector<std::string> fields;
        for (std::string field; fields.size() <= column && in >> field;) fields.push_back(field);
        if (fields.size() <= column) continue;
        std::uint64_t inode = 0;
        std::from_chars(fields[column].data(), fields[column].data() + fields[column].size(), inode);
        std::string what(protocol);
        if (protocol == "tcp") {
            std::size_t state = 0;
            std::from_chars(fields[3].data(), fields[3].data() + fields[3].size(), state, 16);
            what += std::string(" ") + states[state < states.size() ? state : 0];
        }
        into.emplace_back(inode, what);
    }
}

boost::json::object process_evidence(int pid, const std::string& proc) {
    const std::string process = proc + "/" + std::to_string(pid);
    std::error_code bad;
    const std::string program = fs::read_symlink(process + "/exe", bad).string();
    if (bad) return {};
    boost::json::array below;
    for (const int each : process_tree(pid))
        if (each != pid)
            below.push_back({{"pid", each}, {"program", first_line(proc + "/" + std::to_string(each) + "/comm")}});
    return {{"pid", pid},
            {"program", program},
            {"mappings", mappings_of(process)},
            {"open",
             {{"descriptors", largest(descriptors_of(process))},
              {"threads", largest(threads_of(process))},
              {"children", largest(children_by_program(process, proc))}}},
            {"processes", below}};
}

} // namespace plimsoll::fleet
