// What the admin API answers, as text for people.
#pragma once

#include <string>

#include "cli/facts.hpp"

namespace plimsoll::cli {

struct Style {
    bool colours = false;
    WallTime now{};
};

std::string show_status(Facts status, const Style& style);   // /v1/status
std::string show_workers(Facts workers, const Style& style); // {"workers": [...]}
std::string show_leaks(Facts leaks, const Style& style);
std::string show_incidents(Facts incidents, const Style& style);
std::string show_incident(Facts incident, const Style& style);
std::string timeline_line(Facts entry, std::optional<WallTime> opened); // "    +41 ms  drained"
std::string show_changes(Facts reload);                                 // of /v1/config/reload, one line each

} // namespace plimsoll::cli
