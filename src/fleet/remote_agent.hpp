// An agent for a worker that has none: Python 3.14 and later can be told to run a script in a process that runs already
// (sys.remote_exec, PEP 768). The script starts the same agent as everywhere: docs/agent-protocol.md, "Without an agent".
//
//   need (suspect, capture) --> which Python? --> script, 0600 --> its own interpreter: remote_exec --> hello
//                                  '--> too old, not ours to see       '--> may not, disabled           '--> no answer
//
// Once for a process, and told why not. A process that is in C code runs the script when it is back: then it has an agent
// still. It never costs a capture more than its bounds.
#pragma once

#include <memory>
#include <string>

#include "fleet/pool.hpp"
#include "fleet/wait.hpp"

namespace plimsoll::fleet {

// Empty: an agent may be put into it. Else why not, as far as can be told without a look at its process.
std::string why_no_remote_agent(const Pool& pool, const Generation& generation);

// Empty: it has an agent that is connected. Else why not. census: what is on its heap now is what later ones are held
// against. May be called by several, and again: what was tried is not tried again, but who was told to run the script may
// have come in the meantime.
asio::awaitable<std::string> attach_agent(std::shared_ptr<Pool> pool, GenerationPtr generation, bool census);

// The script, for a test: what it says of itself it carries in it.
std::string attach_script(const std::string& agent_path, const boost::json::object& variables, bool census);

} // namespace plimsoll::fleet
