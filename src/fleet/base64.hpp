// Base64 as RFC 4648 section 4 has it, strictly: no white space, no other alphabet, padding complete, spare bits zero.
// What is not exactly that is refused, so that every text has one meaning.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace plimsoll::fleet {

std::optional<std::string> decode_base64(std::string_view text);

} // namespace plimsoll::fleet
