// The file that the first word of a command means, as execvp would find it.
#pragma once

#include <string>
#include <string_view>

namespace plimsoll::config {

inline constexpr std::string_view usual_path = "/usr/local/bin:/usr/bin:/bin"; // where nobody set PATH

// A name with a slash is its own file. Empty: there is none, and why.
std::string find_program(const std::string& name, std::string_view path, std::string& why_not);

} // namespace plimsoll::config
