// What a route changes in the fields of a message, on top of what a proxy must. The configuration's check has seen to it that no
// framing and no hop-by-hop field is among them.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/http/fields.hpp"

namespace plimsoll::http {

struct FieldEdits {
    std::vector<std::pair<std::string, std::string>> set; // in the place of all that came under this name
    std::vector<std::string> remove;

    bool empty() const { return set.empty() && remove.empty(); }
    bool touch(std::string_view name) const { // what came under it does not go on
        return std::any_of(set.begin(), set.end(), [&](const auto& each) { return iequals(each.first, name); }) ||
               std::any_of(remove.begin(), remove.end(), [&](const auto& each) { return iequals(each, name); });
    }
};

} // namespace plimsoll::http
