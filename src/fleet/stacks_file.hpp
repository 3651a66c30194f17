// The stacks of all threads that a worker's faulthandler writes when it is told to abort, or crashes: the one word of a worker that
// is stuck in C code with the GIL held, and of a dead one.
//
//   the server is ours             the file lies in our run directory
//   somebody else's, seen from here   where its agent's hello says
//   in another container           a sibling there aborts it instead of us, and hands the file over
#pragma once

#include <memory>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "fleet/pool.hpp"

namespace plimsoll::fleet {

// Of a generation that has ended. Read once, then removed. Empty where there are none.
boost::asio::awaitable<std::string> take_stacks(Context& context, GenerationPtr generation);

// False: nobody can, send the signal.
boost::asio::awaitable<bool> abort_by_sibling(std::shared_ptr<Pool> pool, GenerationPtr generation);

} // namespace plimsoll::fleet
