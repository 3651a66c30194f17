// Which claims about the client are a trusted proxy's own word: the fields that it writes itself, in the place of what came. What
// it only passes on is a stranger's word, whoever hands it over.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "net/http/fields.hpp"
#include "net/http/trusted_fields.hpp"

namespace plimsoll::http {

class OwnClaims {
public:
    explicit OwnClaims(const std::vector<std::string>& names) : named_(names) { // as of TrustedFields; "*" for all
        for (const auto& [name, id] :
             {std::pair{"X-Forwarded-For", FieldName::x_forwarded_for},
              std::pair{"X-Forwarded-Proto", FieldName::x_forwarded_proto},
              std::pair{"X-Forwarded-Host", FieldName::x_forwarded_host}, std::pair{"Forwarded", FieldName::forwarded},
              std::pair{"X-Request-Id", FieldName::x_request_id}, std::pair{"traceparent", FieldName::traceparent},
              std::pair{"tracestate", FieldName::tracestate},
              std::pair{"X-Forwarded-Prefix", FieldName::x_forwarded_prefix}})
            if (named_.hold(name)) ids_ |= bit(id);
    }

    bool hold(FieldName id) const { return (ids_ & bit(id)) != 0; } // of those that no other name has
    bool hold(const Field& field) const {
        return field.id == FieldName::claims_of_a_proxy ? named_.hold(field.name) : hold(field.id);
    }

private:
    static constexpr std::uint64_t bit(FieldName id) { return std::uint64_t{1} << static_cast<unsigned>(id); }
    TrustedFields named_;
    std::uint64_t ids_ = 0;
};

} // namespace plimsoll::http
