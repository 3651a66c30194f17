// Tokens that the configuration keeps in files of their own (token_file), put in their place.
#pragma once

#include <string>

#include "config/parse.hpp"

namespace plimsoll {

// config::load, and then the tokens: a file that cannot be read, is empty, or that others may read is a problem or a
// warning.
config::Parsed load_with_tokens(const std::string& path);

} // namespace plimsoll
