// What one route asks of a request. A request that meets all of it matches; of several routes that match, the first in the
// file takes it.
//
//   path     "/api" a prefix, as plain text (like nginx's location): it matches "/api", "/api/x" and "/apiary"; write "/api/"
//            to keep to the segment
//            "=/login" exactly this
//            "~^/v[0-9]+/" a regular expression, searched for in the path (config/pattern.hpp)
//   host     without case and port: exact, or "*.example.org" for everything below it
//   methods  one of them
//   headers  each of them: "X-Beta" is there; "X-Version: 2" has this value; "User-Agent: ~^curl/" holds this expression. Of a
//            field that came several times one is enough
//
// The path is the one that an application will see: escapes decoded and dots resolved (http::routing_path).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "config/pattern.hpp"
#include "net/http/fields.hpp"

namespace plimsoll::net {

struct RouteQuery {
    std::string_view host, path, method;
    const http::FieldTable* fields = nullptr;
};

class HeaderRule {
public:
    explicit HeaderRule(std::string_view text);
    bool matches(const http::FieldTable& fields) const;

    const std::string& name() const { return name_; }
    const std::optional<std::string>& value() const { return value_; } // unset: any, or an expression

private:
    std::string name_;
    std::optional<std::string> value_;
    std::optional<config::Pattern> pattern_;
};

class RouteRule {
public:
    enum class Path : std::uint8_t { prefix, exact, regex };

    explicit RouteRule(const config::Route& route);

    bool matches(const RouteQuery& query) const {
        return path_matches(query.path) && host_matches(query.host) && rest_matches(query);
    }
    bool path_matches(std::string_view path) const;
    bool host_matches(std::string_view host) const;
    bool rest_matches(const RouteQuery& query) const; // method and headers

    Path path_kind() const { return kind_; }
    const std::string& path() const { return path_; } // without its mark
    const std::string& host() const { return host_; }
    const std::vector<HeaderRule>& headers() const { return headers_; }
    const std::string& problem() const { return problem_; } // of a regular expression that does not compile

private:
    Path kind_ = Path::prefix;
    std::string path_, host_;
    std::vector<std::string> methods_;
    std::vector<HeaderRule> headers_;
    std::optional<config::Pattern> pattern_;
    std::string problem_;
};

} // namespace plimsoll::net
