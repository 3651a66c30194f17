// The grammar of fields, left to Beast's basic_parser; heads and trailers share it.
//
// Beast is given a start line of our own and then all the lines at once, since it reports fields as it goes and a
// second call would move the bytes under the views. It folds obsolete line folding into a buffer on its stack: seen and
// refused.
#pragma once

#include <string_view>

#include "net/http/fields.hpp"
#include "net/http/refusal.hpp"

namespace plimsoll::http {

// `lines` are whole lines and end with the blank one. On a refusal (status 400 or 431) the table is of no use.
Refusal parse_fields(std::string_view lines, unsigned max_fields, FieldTable& fields);

} // namespace plimsoll::http
