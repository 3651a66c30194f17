// Text of foreign origin (a worker's last words) becomes part of JSON documents: what is no UTF-8 is replaced.
#pragma once

#include <string>
#include <string_view>

namespace plimsoll::store {

// The text, cut to `bound` bytes, with U+FFFD in the place of every byte that is no part of a valid sequence.
std::string valid_utf8(std::string_view text, std::size_t bound);

} // namespace plimsoll::store
