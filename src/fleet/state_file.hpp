// Small files of state beside the incidents: there whole or not at all. Blocking; only the first read is done on the
// control thread, before anything serves.
#pragma once

#include <string>

namespace plimsoll::fleet {

std::string read_state(const std::string& path); // empty: none
// Written beside and renamed. False: it could not be.
bool replace_state(const std::string& path, const std::string& text);

} // namespace plimsoll::fleet
