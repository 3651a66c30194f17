// `plimsoll check FILE`: the loader, and nothing else.
#pragma once

#include <iosfwd>
#include <string>

namespace plimsoll::cli {

// 0: the file is good; 2: it is not, and every problem was told.
int check(const std::string& file, bool json, std::ostream& out, std::ostream& err);

} // namespace plimsoll::cli
