// A cookie as the application reads it. To Django, Starlette, werkzeug and http.cookies "sid=abc", "sid =abc  " and
// "sid=\"\\141bc\"" are one session, so they are one here. Where these parsers disagree, nobody can tell what the application takes for
// the value: of two cookies of one name the first or the last, of "a b" all or "a", of "\"a\"b" the quotes or what is in them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http/fields.hpp"

namespace plimsoll::http {

// What any of them finds under the name, in order, without blanks around it. Views into the fields.
std::vector<std::string_view> cookies_named(const FieldTable& fields, std::string_view name);
// Of one of these, without its quotes and escapes. None: they disagree on it.
std::optional<std::string> cookie_value(std::string_view text);

} // namespace plimsoll::http
