// An incident as one HTML file to attach to a ticket: everything is in it, it fetches nothing, and it runs nothing.
//
// A policy in its head says the same to the browser (default-src 'none'), so that even what slipped through could do nothing.
// Pictures that a worker drew are shown as images, where no script runs; ours are part of the page.
#pragma once

#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "plimsoll/core/bytes.hpp"

namespace plimsoll::admin {

inline constexpr const char* page_policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

struct Evidence {
    std::string name, content; // content may be empty: only listed
    Bytes size;
};
// Of this file as much as may be shown: 0 where it is only listed.
Bytes shown_of(std::string_view name);

// `incident` as the API tells it, with its timeline.
std::string incident_page(const boost::json::object& incident, const std::vector<Evidence>& files,
                          const std::string& version);

} // namespace plimsoll::admin
