// What a server that we start is told: its command with the placeholders filled in, and the agent's environment.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fleet/context.hpp"
#include "fleet/process.hpp"

namespace plimsoll::fleet {

using Placeholders = std::vector<std::pair<std::string, std::string>>; // "socket" -> "/run/plimsoll/app-1.2.sock"

bool mentions(const std::vector<std::string>& argv, const std::string& placeholder);
std::vector<std::string> fill(std::vector<std::string> argv, const Placeholders& values);

// The command of a pool's source, ready to start. `listen`: of private listeners; "none" where the command itself has an
// address of its own.
Command server_command(const Context& context, const config::Pool& pool, const std::string& name,
                       const std::string& listen, std::optional<unsigned> index, Placeholders values);

// A TCP port of the loopback that nobody listens on now. Somebody may take it before the server does: then the server
// fails, and is started again with another.
std::optional<std::uint16_t> free_port();

} // namespace plimsoll::fleet
