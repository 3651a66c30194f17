// All of a text to a descriptor, or false: the disk is full, the pipe closed, or nobody read from it for a second.
#pragma once

#include <string_view>

namespace plimsoll::log {

bool write_all(int file, std::string_view text);

} // namespace plimsoll::log
