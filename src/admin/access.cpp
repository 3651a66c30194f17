#include "admin/access.hpp"

#include <algorithm>
#include <cctype>

#include "net/address.hpp"

namespace plimsoll::admin {
namespace {

std::string lower(std::string_view text) {
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(), [](unsigned char c) { return std::tolower(c); });
    return result;
}

// "127.0.0.1:9180" -> "127.0.0.1", "[::1]:9180" -> "::1".
std::string host_of(std::string_view authority) {
    if (authority.starts_with('['))
        return lower(authority.substr(1, authority.find(']') == 0 ? 0 : authority.find(']') - 1));
    return lower(authority.substr(0, authority.find(':')));
}

bool is_foreign_host(const Access& access, const Request& request) {
    if (access.unix_socket || request.host.empty()) return false;
    const auto host = host_of(request.host);
    net::Address address;
    address.host = host;
    return !net::is_loopback(address) && host != lower(access.host);
}

// A browser names the page that sent a form or a script's request; other clients name none.
bool is_foreign_page(const Request& request) {
    if (request.method == "GET" || request.method == "HEAD") return false; // it cannot read the answer
    if (lower(request.fetch_site) == "cross-site") return true;
    if (request.origin.empty()) return false;
    const auto authority = request.origin.find("://");
    return authority == std::string::npos || lower(request.origin.substr(authority + 3)) != lower(request.host);
}

} // namespace

bool equal_in_constant_time(std::string_view a, std::string_view b) {
    volatile unsigned char difference = a.size() == b.size() ? 0 : 1; // the length of a token is no secret
    for (std::size_t i = 0; i < b.size(); ++i)
        difference = static_cast<unsigned char>(difference | ((i < a.size() ? a[i] : 0) ^ b[i]));
    return difference == 0;
}

bool has_token(const Access& access, const Request& request) {
    if (access.token.empty()) return true;
    if (!request.token.empty()) return equal_in_constant_time(request.token, access.token);
    const std::string_view given = request.authorization;
    return lower(given.substr(0, 7)) == "bearer " && equal_in_constant_time(given.substr(7), access.token);
}

std::optional<Response> refuse(const Access& access, const Request& request, bool open) {
    if (access.token.empty() && is_foreign_host(access, request))
        return error_answer(403,
                            "Host \"" + request.host + "\" is not this proxy's: use localhost, or set [admin] token");
    if (is_foreign_page(request)) return error_answer(403, "a page of another origin may not act on this proxy");
    if (open || has_token(access, request)) return std::nullopt;
    auto response = error_answer(401, "a token is needed: send Authorization: Bearer TOKEN or X-Plimsoll-Token: TOKEN");
    response.fields.emplace_back("WWW-Authenticate", "Bearer");
    return response;
}

} // namespace plimsoll::admin
