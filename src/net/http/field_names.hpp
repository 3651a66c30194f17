// The names that a proxy must know, by one look into a table.
//
// hash(name) = length + first + middle + last character, each weighted, letters in lower case
//
// The table is made by the compiler, which also proves that no lookup takes more than a few steps. A name is compared eight
// characters at a time: in a token, setting the bit that makes letters small changes no other character into one that a
// known name holds.
#pragma once

#include <string_view>

#include "net/http/fields.hpp"

namespace plimsoll::http {

// Of a token. A name with '_' is ambiguous: WSGI's HTTP_* cannot tell it from the one with '-'.
FieldName field_name(std::string_view token);
FieldName field_name_with_dashes(std::string_view token); // where it is known that there is none

} // namespace plimsoll::http
