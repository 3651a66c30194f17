// TOML text -> Config, or every problem in it at once.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"

namespace plimsoll::config {

struct Problem {
    std::string file;
    unsigned line = 0, column = 0; // from 1; 0: the file as a whole
    std::string key;               // "pool.recycle.soft_limt"
    std::string message;           // what is wrong, and what would be right
    std::string suggestion;        // the key or value that was probably meant; may be empty
    friend bool operator==(const Problem&, const Problem&) = default;
};
// "plimsoll.toml:12:3: pool.recycle.soft_limt: unknown key (did you mean soft_limit?)"
std::string to_string(const Problem& problem);

struct Parsed {
    Config config;                 // whole only where problems is empty
    std::vector<Problem> problems; // by line; one is enough to refuse the file
    std::vector<Problem> warnings; // by line; allowed, but hardly meant
};
// `here`: it is to serve on this machine, so the secrets and certificates that it names must be there.
Parsed parse(std::string_view text, std::string_view file_name, bool here = false);
Parsed load(const std::string& path); // a file that cannot be read is one problem; it is to serve here

// What changed between two configurations, one line each ("pool.app.recycle.soft_limit: 400MiB -> 300MiB"), and
// whether a running proxy can take it over live. Listeners, routes and pools are told apart by address, path and name.
// Secrets are not shown.
struct Change {
    std::string key, before, after; // "absent", "present": a whole listener, route or pool
    bool live = true;
    friend bool operator==(const Change&, const Change&) = default;
};
std::string to_string(const Change& change); // a change that is not live says that it needs a restart
std::vector<Change> diff(const Config& before, const Config& after);

// What a running proxy has after a reload: `next`, but for all that needs a restart, which stays as it is. So the next
// diff names what still waits for a restart, however often the file is read.
Config in_effect(const Config& running, const Config& next);

} // namespace plimsoll::config
