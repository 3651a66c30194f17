// What the parser of TOML stumbled over, and what would be right, where it is a slip that people make.
#pragma once

#include <string>
#include <string_view>

#include "config/findings.hpp"

namespace plimsoll::config {

struct SyntaxError {
    Position position;
    std::string message;
};
// `error` is the parser's own word. What it means is kept in front of the advice, and moved to the line that is to be changed.
SyntaxError explained(std::string_view text, SyntaxError error);

} // namespace plimsoll::config
