// Ends a process that is not our child: TERM, then ABRT (a faulthandler writes its stacks), then KILL, `bound` for each.
// A signal goes through the pidfd where the process is visible; else through a sibling's agent, since a stuck worker cannot
// signal itself; its own agent is the last resort.
#pragma once

#include <memory>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "fleet/pool.hpp"

namespace plimsoll::fleet {

bool same_server(const Hello& a, const Hello& b); // workers of one arbiter or supervisor

// A connected agent under the same server as this generation, which is asked last; null: none.
std::shared_ptr<Agent> agent_beside(Pool& pool, const Generation& generation);

// Empty: sent. Else why not.
boost::asio::awaitable<std::string> send_signal(std::shared_ptr<Pool> pool, GenerationPtr generation, int signal);

// `told`: it has been told to end already (by its arbiter), so that the first rung is only to wait. True: it is gone.
boost::asio::awaitable<bool> end_by_signals(std::shared_ptr<Pool> pool, GenerationPtr generation, bool told, Said said);

} // namespace plimsoll::fleet
