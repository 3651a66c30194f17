// What uWSGI's stats server says: one JSON document a connection. Its memory numbers lag and are not used.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "plimsoll/core/time.hpp"

namespace plimsoll::fleet {

struct UwsgiWorker {
    unsigned id = 0;    // from 1
    int pid = 0;        // 0: not running now
    unsigned cores = 1; // requests that it serves at once
    bool accepting = false;
    std::optional<std::uint64_t> requests; // of this process, from whichever socket they came; unset: it does not say
};
// Nothing where it is no such document.
std::optional<std::vector<UwsgiWorker>> parse_uwsgi_stats(std::string_view text);

// Nothing where nobody answers within the bound.
boost::asio::awaitable<std::optional<std::vector<UwsgiWorker>>> read_uwsgi_stats(std::string path, Duration bound);

} // namespace plimsoll::fleet
