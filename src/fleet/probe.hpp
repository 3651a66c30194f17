// Ready means *answered a request*: listeners are open before an application is loaded. Control thread only.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>

#include "fleet/probe_answer.hpp"
#include "net/pool.hpp"
#include "plimsoll/core/time.hpp"

namespace plimsoll::fleet {

using ProbeConnection = boost::asio::generic::stream_protocol::socket;

struct ProbeResult {
    bool answered = false; // any HTTP response head that parses, whatever its status
    int status = 0;
    std::string problem; // otherwise: "connection refused", "no answer in 2 s", ...
    Duration took{};
    // The worker has the whole question, and did not answer in time: it may be busy with it still. Otherwise null.
    std::shared_ptr<ProbeConnection> unheard;
};
// One request (HTTP or the uwsgi protocol) on a connection of its own, closed at once afterwards. Never throws.
boost::asio::awaitable<ProbeResult> probe(net::Address address, net::Protocol protocol, Question question,
                                          Duration bound);
// The worker is told that nobody waits any more: one that can leave off shall.
void leave_off(ProbeConnection& unheard);
// True: the worker has said a word on it or hung up, or somebody closed it. False: nothing within the bound.
boost::asio::awaitable<bool> heard(std::shared_ptr<ProbeConnection> unheard, Duration bound);

} // namespace plimsoll::fleet
