// Text of foreign origin as part of HTML or SVG: names of routes, of types, of files, what workers wrote. An attacker chooses some of
// it, so everything goes through here, and nothing of it is ever markup.
#pragma once

#include <string>
#include <string_view>

#include <boost/json/object.hpp>

namespace plimsoll::admin {

// Fit for text and for attributes in double quotes. Bytes that are no UTF-8, control characters and marks that turn the direction of
// text around become U+FFFD; newlines and tabs stay.
std::string escaped(std::string_view text);
std::string base64(std::string_view bytes);

// Members of JSON that may be of any shape: what is not of the type that is asked for is not there.
std::string text_of(const boost::json::object& object, std::string_view key);
double number_of(const boost::json::object& object, std::string_view key, double otherwise = 0);
const boost::json::array& list_of(const boost::json::object& object, std::string_view key);
const boost::json::object& object_of(const boost::json::object& object, std::string_view key);
const boost::json::object& object_of(const boost::json::value& value);

std::string px(double length); // of a picture, to a tenth

std::string bytes_text(double bytes);
std::string count_text(double count); // "40,213"; a fraction where it is small

} // namespace plimsoll::admin
