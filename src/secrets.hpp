// Tokens that the configuration keeps in files of their own (token_file), put in their place.
#pragma once

#include <string>

#include "config/parse.hpp"

namespace plimsoll {

// config::load, which has looked at the files already, and then the tokens that are in them.
config::Parsed load_with_tokens(const std::string& path);

} // namespace plimsoll
