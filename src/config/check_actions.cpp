// What a route does beyond choosing a pool: paths rewritten, fields changed, answers of its own, affinity.
#include <algorithm>
#include <array>
#include <cctype>

#include "config/checks.hpp"
#include "config/page.hpp"

namespace plimsoll::config {
namespace {

using FieldNames = std::vector<std::string_view>;

// Whoever changes these changes where a message ends, or for whom it is (RFC 9110, 7.6.1).
const FieldNames of_the_connection = {"connection",
                                      "keep-alive",
                                      "proxy-connection",
                                      "te",
                                      "trailer",
                                      "transfer-encoding",
                                      "upgrade",
                                      "content-length",
                                      "http2-settings",
                                      "proxy-authenticate",
                                      "proxy-authorization",
                                      "proxy-authentication-info"};
const FieldNames only_in_requests = {"host", "expect", "max-forwards"};
const FieldNames told_by_proxy = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix",
                                  "forwarded",       "x-request-id",      "traceparent",      "via"};

std::string lower(std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

bool holds(const FieldNames& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

std::string why_not_changed(const std::string& text, bool request) {
    if (!is_token(text)) return "is no field name";
    const auto name = lower(text);
    if (holds(of_the_connection, name) || (request && holds(only_in_requests, name)))
        return "belongs to the connection or frames the message: only the proxy may write it";
    if (name.starts_with("x-plimsoll-")) return "is Plimsoll's own";
    if (request && (name.find('_') != std::string::npos || name == "proxy"))
        return "cannot be told from another variable in WSGI: write it with '-'";
    if (request && holds(told_by_proxy, name))
        return "tells of the client, and is written by the proxy: see proxy.trusted_proxies and proxy.via";
    if (!request && name == "server") return "is decided by proxy.server";
    if (!request && name == "via") return "is decided by proxy.via";
    return {};
}

bool is_field_value(std::string_view value) {
    if (!value.empty() && (value.front() == ' ' || value.back() == ' ')) return false;
    return std::none_of(value.begin(), value.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

void check_changes(const std::string& path, const std::vector<std::pair<std::string, std::string>>& set,
                   const std::vector<std::string>& remove, const std::string& direction, Findings& findings) {
    const bool request = direction == "request";
    for (const auto& [name, value] : set) {
        const auto key = path + ".set_" + direction + "_fields." + name;
        if (auto why = why_not_changed(name, request); !why.empty())
            findings.problem(key, "'" + name + "' " + why);
        else if (!is_field_value(value))
            findings.problem(key, "a field's value holds no control characters, and no space at its ends");
    }
    for (std::size_t i = 0; i < remove.size(); ++i)
        if (auto why = why_not_changed(remove[i], request); !why.empty())
            findings.problem(path + ".remove_" + direction + "_fields[" + std::to_string(i) + "]",
                             "'" + remove[i] + "' " + why);
}

// In a prefix there is nothing to resolve, so that what is left of a path without it stays what it was.
void check_prefix(const std::string& path, const std::string& prefix, Findings& findings) {
    if (prefix.empty()) return;
    const bool plain =
        prefix.starts_with('/') && !prefix.ends_with('/') && prefix.find("//") == std::string::npos &&
        prefix.find("/.") == std::string::npos && std::all_of(prefix.begin(), prefix.end(), [](unsigned char c) {
            return std::isalnum(c) != 0 ||
                   std::string_view("/-._~!$&'()*+,;=:@").find(static_cast<char>(c)) != std::string_view::npos;
        });
    if (!plain)
        findings.problem(path,
                         "'" + prefix +
                             "' must be a plain path such as \"/api\": it begins with a slash, ends with none, and "
                             "holds no escapes, no empty segments and no dots in front");
}

void check_page(const std::string& path, const std::string& body, const std::string& file, const std::string& type,
                Findings& findings) {
    if (!body.empty() && !file.empty())
        findings.problem(path + ".file", "body and file exclude each other: keep one of them");
    else if (std::string problem; page_text(body, file, problem).empty() && !problem.empty())
        findings.problem(path + ".file", "'" + file + "' " + problem);
    if (body.size() > largest_page) findings.problem(path + ".body", "is larger than 1 MiB: serve it from elsewhere");
    if (!is_field_value(type) || type.empty())
        findings.problem(path + ".content_type", "must be a media type such as \"text/html\"");
}

void check_respond(const std::string& path, const Route& route, Findings& findings) {
    const auto& respond = route.respond;
    const auto status = respond.status;
    if (!findings.sound(path + ".status")) return;
    const bool has_body = !respond.body.empty() || !respond.file.empty();
    if (status == 0) {
        if (has_body) findings.problem(path + ".status", "is missing: an answer needs one, such as status = 200");
        return;
    }
    if (status < 200)
        findings.problem(path + ".status", "must be from 200 to 599: others are no answers, or end nothing");
    if ((status == 204 || status == 205 || status == 304) && has_body)
        findings.problem(path + ".status", std::to_string(status) + " has no body: leave body and file out");
    if (!route.redirect.to.empty())
        findings.problem(path + ".status",
                         "a route either answers or redirects: keep one of [route.respond] and [route.redirect]");
    check_page(path, respond.body, respond.file, respond.content_type, findings);
}

void check_redirect(const std::string& path, const Redirect& redirect, Findings& findings) {
    constexpr std::array statuses = {301U, 302U, 303U, 307U, 308U};
    if (findings.sound(path + ".status") &&
        std::find(statuses.begin(), statuses.end(), redirect.status) == statuses.end())
        findings.problem(path + ".status", "must be 301, 302, 303, 307 or 308, is " + std::to_string(redirect.status));
    std::string problem;
    parse_redirect(redirect.to, problem);
    if (!problem.empty()) findings.problem(path + ".to", "'" + redirect.to + "': " + problem);
}

void check_affinity(const std::string& path, const Route& route, Findings& findings) {
    const std::string_view affinity = route.affinity;
    const bool cookie = affinity.starts_with("cookie:");
    if (!affinity.empty() && !((cookie || affinity.starts_with("header:")) && is_token(affinity.substr(7))))
        findings.problem(path + ".affinity", "'" + route.affinity + "' must be \"cookie:NAME\" or \"header:NAME\"");
    else if (route.set_affinity_cookie && !cookie)
        findings.problem(path + ".set_affinity_cookie", "needs affinity = \"cookie:NAME\": there is no cookie to set");
}

} // namespace

void check_maintenance(const std::string& path, const Maintenance& maintenance, Findings& findings) {
    check_page(path, maintenance.body, maintenance.file, maintenance.content_type, findings);
}

void check_actions(const std::string& path, const Route& route, Findings& findings) {
    check_prefix(path + ".strip_prefix", route.strip_prefix, findings);
    check_prefix(path + ".replace_prefix", route.replace_prefix, findings);
    check_changes(path, route.set_request_fields, route.remove_request_fields, "request", findings);
    check_changes(path, route.set_response_fields, route.remove_response_fields, "response", findings);
    check_respond(path + ".respond", route, findings);
    check_redirect(path + ".redirect", route.redirect, findings);
    check_maintenance(path + ".maintenance", route.maintenance, findings);
    check_affinity(path, route, findings);
}

} // namespace plimsoll::config
