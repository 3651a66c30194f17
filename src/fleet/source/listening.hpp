// Which process listens at an address, as far as this machine can tell.
#pragma once

#include <optional>
#include <vector>

#include "net/address.hpp"

namespace plimsoll::fleet {

// The pid that made the listener of a unix socket (SO_PEERCRED); nothing for TCP, and where nobody listens.
std::optional<int> listener_pid(const net::Address& address);

// Does this process hold a listener with the address's port or path? By /proc/PID/fd and /proc/PID/net; of a unix socket whose
// holder may not be looked at, by who made it. False: no, or it cannot be told.
bool listens_on(int pid, const net::Address& address);

// Those of these processes, which share a network namespace, that hold one, or of which that cannot be told.
std::vector<int> listeners_among(std::vector<int> pids, const net::Address& address);

} // namespace plimsoll::fleet
