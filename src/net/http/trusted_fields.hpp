// Fields that only a trusted proxy may send, beside those that are known to be a proxy's (field_names.cpp): one that authenticates
// has names of its own. "X-WebAuth-User", or "Tailscale-*" for all that begin so.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "net/http/fields.hpp"

namespace plimsoll::http {

class TrustedFields {
public:
    TrustedFields() = default;
    explicit TrustedFields(const std::vector<std::string>& names) {
        for (std::string_view name : names) {
            const bool prefix = name.ends_with('*');
            if (prefix) name.remove_suffix(1);
            (prefix ? prefixes_ : names_).emplace_back(name);
        }
    }

    bool hold(std::string_view name) const {
        return std::ranges::any_of(names_, [name](const std::string& each) { return iequals(name, each); }) ||
               std::ranges::any_of(prefixes_, [name](const std::string& each) {
                   return name.size() >= each.size() && iequals(name.substr(0, each.size()), each);
               });
    }

private:
    std::vector<std::string> names_, prefixes_;
};

} // namespace plimsoll::http
