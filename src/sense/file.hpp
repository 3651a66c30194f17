// One bounded read of a kernel file, for the reader's two source files.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace plimsoll::sense {

inline constexpr std::size_t most_read = 256 << 10; // the largest of them, memory.stat, has 4 KiB

std::optional<std::string> read_small_file(const std::string& path); // nothing where it cannot be read whole

} // namespace plimsoll::sense
