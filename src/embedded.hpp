// Files that the program carries with it, so that one binary is a whole installation: the Python agent.
#pragma once

#include <span>
#include <string_view>

namespace plimsoll {

struct EmbeddedFile {
    std::string_view path; // relative: "plimsoll_agent/__init__.py"
    std::string_view content;
};

namespace embedded {
std::span<const EmbeddedFile> agent(); // the package and the directory that activates it
} // namespace embedded

} // namespace plimsoll
