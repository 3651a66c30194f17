// The two subcommands that are a proxy; the others only talk to one.
#pragma once

#include "cli/cli.hpp"

namespace plimsoll {

int serve(const cli::ServeOptions& options); // exit codes: 0 stopped, 1 could not start, 2 configuration
int run(const cli::RunOptions& options);

} // namespace plimsoll
