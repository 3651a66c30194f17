// The rules about more than one key, and about what a text must look like. Each looks only at keys that were read
// without a problem, so that one mistake is told once.
#pragma once

#include "config/config.hpp"
#include "config/findings.hpp"

namespace plimsoll::config {

void check_program(const Config& config, Findings& findings); // proxy, admin, listeners
void check_routes(const Config& config, Findings& findings);
void check_pools(const Config& config, Findings& findings);

} // namespace plimsoll::config
