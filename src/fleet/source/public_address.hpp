// Where a server listens for everybody, as its own command line says it: gunicorn's --bind, uvicorn's --uds, --host and
// --port.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "net/address.hpp"

namespace plimsoll::fleet {

std::optional<net::Address> public_address(const std::vector<std::string>& argv); // nothing: it is not said there

} // namespace plimsoll::fleet
