// The one line of a dead server's output that says why: its exception, else its last error, else its last line.
#pragma once

#include <string>
#include <string_view>

namespace plimsoll::fleet {

std::string last_words(std::string_view output); // empty where it said nothing

} // namespace plimsoll::fleet
