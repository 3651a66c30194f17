// Servers that an earlier life of this program started and that outlived it: it was killed, and they do not heed the
// SIGTERM that the kernel then sends them. They are found by what their environment says of who started them, and ended,
// since nobody supervises them and their memory is counted against the new ones.
#pragma once

#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "fleet/context.hpp"

namespace plimsoll::fleet {

inline constexpr const char* starter_variable = "PLIMSOLL_STARTED_BY";
std::string starter(); // its value for what we start: our pid, start time and session

// Processes that were started for this run directory by a Plimsoll that is gone. One that has a session of its own was
// made independent by the application, and is let alone.
std::vector<int> find_orphans(const std::string& run_dir);

// TERM, then KILL after `bound`.
boost::asio::awaitable<void> end_orphans(std::shared_ptr<Context> context, std::vector<int> pids, Duration bound);

} // namespace plimsoll::fleet
