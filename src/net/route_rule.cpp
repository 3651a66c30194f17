#include "net/route_rule.hpp"

#include <algorithm>

namespace plimsoll::net {

HeaderRule::HeaderRule(std::string_view text) {
    const auto colon = text.find(':');
    name_ = text.substr(0, colon);
    if (colon == std::string_view::npos) return;
    auto value = text.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    if (value.starts_with('~'))
        pattern_.emplace(value.substr(1));
    else
        value_.emplace(value);
}

bool HeaderRule::matches(const http::FieldTable& fields) const {
    return std::any_of(fields.begin(), fields.end(), [this](const http::Field& field) {
        if (!http::iequals(field.name, name_)) return false;
        if (pattern_) return pattern_->found_in(field.value);
        return !value_ || field.value == *value_;
    });
}

RouteRule::RouteRule(const config::Route& route)
    : path_(route.path), host_(route.host), methods_(route.methods),
      headers_(route.headers.begin(), route.headers.end()) {
    if (path_.empty() || (path_[0] != '=' && path_[0] != '~')) return;
    kind_ = path_[0] == '=' ? Path::exact : Path::regex;
    path_.erase(0, 1);
    if (kind_ == Path::exact) return;
    pattern_.emplace(path_);
    problem_ = pattern_->problem();
}

bool RouteRule::path_matches(std::string_view path) const {
    switch (kind_) {
    case Path::prefix: return path.starts_with(path_);
    case Path::exact: return path == path_;
    case Path::regex: break;
    }
    return pattern_->found_in(path);
}

bool RouteRule::host_matches(std::string_view host) const {
    if (host_.empty()) return true;
    if (!host_.starts_with("*.")) return http::iequals(host_, host);
    const auto suffix = std::string_view(host_).substr(1);
    return host.size() > suffix.size() && http::iequals(host.substr(host.size() - suffix.size()), suffix);
}

bool RouteRule::rest_matches(const RouteQuery& query) const {
    if (!methods_.empty() && std::find(methods_.begin(), methods_.end(), query.method) == methods_.end()) return false;
    if (headers_.empty()) return true;
    return query.fields && std::all_of(headers_.begin(), headers_.end(),
                                       [&](const HeaderRule& header) { return header.matches(*query.fields); });
}

} // namespace plimsoll::net
