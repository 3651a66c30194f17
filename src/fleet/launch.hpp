// fork and exec, and nothing else: what the new process must be before it becomes somebody else's code.
//
// It leads its own process group, has no signal blocked or ignored, no descriptor but 0 (/dev/null), 1 and 2, and gets
// SIGTERM when the thread that launched it ends: so launch from the thread that lives as long as the program. The
// kernel forgets that wish when a program changes its user (uwsgi --uid), so whoever needs certainty must also end it
// himself.
#pragma once

#include <string>

#include "fleet/process.hpp"

namespace plimsoll::fleet {

// The pid; 0 with a reason where it could not be started. `output`: a descriptor for 1 and 2; -1: ours.
int launch(const Command& command, int output, std::string& why_not);

} // namespace plimsoll::fleet
