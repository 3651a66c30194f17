// Which process listens at an address, as far as this machine can tell.
#pragma once

#include <optional>

#include "net/address.hpp"

namespace plimsoll::fleet {

// The pid that made the listener of a unix socket (SO_PEERCRED); nothing for TCP, and where nobody listens.
std::optional<int> listener_pid(const net::Address& address);

// Does this process hold a listener with the address's port or path? By /proc/PID/fd and /proc/PID/net.
bool listens_on(int pid, const net::Address& address);

} // namespace plimsoll::fleet
