#include "net/route_actions.hpp"

#include "log/log.hpp"
#include "net/http/cookies.hpp"

namespace plimsoll::net {
namespace {

// The check comes first; what changed on the disk since then must be heard of at least.
std::string read_page(const std::string& body, const std::string& file) {
    std::string problem;
    auto text = config::page_text(body, file, problem);
    if (!problem.empty()) log::error("page_unreadable", {{"file", file}, {"error", problem}});
    return text;
}

std::optional<Page> page_of(const config::Route& route) {
    if (route.respond.status != 0)
        return Page{
            route.respond.status, route.respond.content_type, read_page(route.respond.body, route.respond.file), {}};
    if (route.redirect.to.empty()) return std::nullopt;
    std::string problem;
    Page page{route.redirect.status, {}, {}, config::parse_redirect(route.redirect.to, problem)};
    if (!problem.empty()) log::error("redirect_invalid", {{"to", route.redirect.to}, {"error", problem}});
    return page;
}

} // namespace

Affinity::Affinity(const config::Route& route)
    : name_(route.affinity.substr(route.affinity.find(':') + 1)), cookie_(route.affinity.starts_with("cookie:")),
      sets_cookie_(route.set_affinity_cookie) {}

// Of several cookies the first, which browsers write for the longest path. What the application reads matters only as far as one
// session is one key.
std::string Affinity::key(const http::FieldTable& fields) const {
    if (!cookie_) return std::string(fields.value(name_));
    const auto found = http::cookies_named(fields, name_);
    return found.empty() ? std::string() : http::cookie_value(found.front()).value_or(std::string(found.front()));
}

// Secure where the client came by https: it names a worker, and must not go over the wire in the clear. By http such a cookie would
// not be kept.
std::string Affinity::set_cookie(std::string_view value, bool secure) const {
    return "Set-Cookie: " + name_ + "=" + std::string(value) + "; Path=/; HttpOnly; SameSite=Lax" +
           (secure ? "; Secure\r\n" : "\r\n");
}

RouteActions::RouteActions(const config::Route& route)
    : strip_prefix(route.strip_prefix), replace_prefix(route.replace_prefix),
      rewrites(!strip_prefix.empty() || !replace_prefix.empty()), request{route.set_request_fields,
                                                                          route.remove_request_fields},
      response{route.set_response_fields, route.remove_response_fields}, page(page_of(route)) {
    if (!route.affinity.empty()) affinity.emplace(route);
}

bool has_actions(const config::Route& route) {
    return !(route.strip_prefix.empty() && route.replace_prefix.empty() && route.set_request_fields.empty() &&
             route.remove_request_fields.empty() && route.set_response_fields.empty() &&
             route.remove_response_fields.empty() && route.respond.status == 0 && route.redirect.to.empty() &&
             route.affinity.empty());
}

std::shared_ptr<const Closed> closed_for(const config::Maintenance& maintenance) {
    if (!maintenance.enabled) return nullptr;
    return std::make_shared<const Closed>(Closed{
        maintenance.retry_after, {503, maintenance.content_type, read_page(maintenance.body, maintenance.file), {}}});
}

std::string location_of(const Page& page, const http::RequestHead& head, std::string_view path) {
    using Kind = config::TargetPiece::Kind;
    std::string location;
    for (const auto& piece : page.location) {
        switch (piece.kind) {
        case Kind::text: location += piece.text; break;
        case Kind::host:
            if (head.host.empty()) return {};
            location += head.host;
            break;
        case Kind::path: location += path; break;
        case Kind::query: location += head.query; break;
        }
    }
    return location;
}

} // namespace plimsoll::net
