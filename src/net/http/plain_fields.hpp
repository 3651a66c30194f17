// Fields as nearly all heads have them, in one pass over their bytes; whatever looks unusual is left to Beast's grammar.
//
//   plain:  name ":" *SP value *SP CR LF     name: a token; value: printable ASCII
//   also:   at most one of Content-Length (digits) and Transfer-Encoding ("chunked"); Connection "keep-alive" or "close"
//
// This never judges. It accepts a part of what parse_fields() accepts, with the same table for a result (a test and a fuzzer
// compare them), or it gives up. It exists because a general parser took a sixteenth of the time of a small request.
#pragma once

#include <cstddef>
#include <string_view>

#include "net/http/fields.hpp"

namespace plimsoll::http {

// From the line after the start line. The size of the fields with the blank line behind them; 0: not plain, or not yet whole.
std::size_t scan_plain_fields(std::string_view bytes, unsigned max_fields, FieldTable& fields);

} // namespace plimsoll::http
