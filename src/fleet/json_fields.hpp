// Members of JSON that agents, files and incidents hold: what is not of the type that is asked for is empty, 0 or false.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "plimsoll/core/bytes.hpp"

namespace plimsoll::fleet {

inline const boost::json::array& list(const boost::json::object& object, std::string_view key) {
    static const boost::json::array none;
    const auto* value = object.if_contains(key);
    return value != nullptr && value->is_array() ? value->get_array() : none;
}

inline double number(const boost::json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    boost::system::error_code bad;
    const double found = value != nullptr && value->is_number() ? value->to_number<double>(bad) : 0;
    return bad ? 0 : found;
}

inline std::string word(const boost::json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string{};
}

inline bool flag(const boost::json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    return value != nullptr && value->is_bool() && value->get_bool();
}

inline boost::json::value json_of(std::optional<Bytes> amount) { // unset: null
    if (!amount) return nullptr;
    return amount->count;
}

} // namespace plimsoll::fleet
