// The one line of a dead server's output that says why: its exception, else its last error, else its last line.
#pragma once

#include <string>
#include <string_view>

namespace plimsoll::fleet {

std::string last_words(std::string_view output); // empty where it said nothing

// Of a server that lives: the exception of the last traceback, for what else it said may be anybody's. Empty where there is none.
std::string last_exception(std::string_view output);

} // namespace plimsoll::fleet
