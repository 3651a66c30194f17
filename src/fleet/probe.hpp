// Ready means *answered a request*: listeners are open before an application is loaded. Control thread only.
#pragma once

#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "fleet/probe_answer.hpp"
#include "net/pool.hpp"
#include "plimsoll/core/time.hpp"

namespace plimsoll::fleet {

struct ProbeResult {
    bool answered = false; // any HTTP response head that parses, whatever its status
    int status = 0;
    std::string problem; // otherwise: "connection refused", "no answer in 2 s", ...
    Duration took{};
};
// One request (HTTP or the uwsgi protocol) on a connection of its own, closed at once afterwards. Never throws.
boost::asio::awaitable<ProbeResult> probe(net::Address address, net::Protocol protocol, Question question,
                                          Duration bound);

} // namespace plimsoll::fleet
