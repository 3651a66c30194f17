#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "config/checks.hpp"
#include "config/nearest.hpp"
#include "config/place.hpp"
#include "config/values.hpp"

namespace plimsoll::config {
namespace {

// The place, where the address is sound and can be read; else a problem is told.
std::optional<Place> place_at(const std::string& path, const std::string& address, Findings& findings) {
    if (!findings.sound(path)) return {};
    std::string why_not;
    auto place = parse_place(address, why_not);
    if (!place) findings.problem(path, place_problem(address));
    return place;
}

void check_token(const std::string& section, const std::string& token, const std::string& token_file,
                 Findings& findings) {
    if (!token.empty() && !token_file.empty())
        findings.problem(section + ".token_file", "token and token_file exclude each other: keep one of them");
}

std::string in_lower_case(std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

// The fields by which a client says what it wishes. One that no request can have would be read by nobody, without a word.
void check_wishes(const Proxy& proxy, Findings& findings) {
    for (const auto& [key, name] : {std::pair{"proxy.deadline_header", &proxy.deadline_header},
                                    std::pair{"proxy.priority_header", &proxy.priority_header}})
        if (!name->empty() && !is_token(*name))
            findings.problem(key, "'" + *name + "' must be the name of a field, without a colon, or empty for none");
        else if (const auto why = why_never_taken(*name); !why.empty())
            findings.problem(key, "'" + *name + "': " + why);
    if (proxy.priority_header.empty()) return;
    if (in_lower_case(proxy.priority_header) == in_lower_case(proxy.deadline_header))
        findings.problem("proxy.priority_header",
                         "'" + proxy.priority_header + "' is deadline_header as well: one field says one thing");
    if (proxy.trusted_proxies.empty() && findings.sound("proxy.trusted_proxies"))
        findings.warning("proxy.priority_header",
                         "is believed from nobody: name in trusted_proxies who may say how urgent a request is");
}

// By which proxies tell of a client, and the beginnings of such names: net/http/field_names.cpp drops them from a stranger's request.
const std::vector<std::string> claims = {"X-Forwarded-For",
                                         "X-Forwarded-Proto",
                                         "X-Forwarded-Host",
                                         "X-Forwarded-Port",
                                         "X-Forwarded-Prefix",
                                         "X-Forwarded-Server",
                                         "X-Forwarded-Scheme",
                                         "X-Forwarded-Ssl",
                                         "X-Forwarded-User",
                                         "X-Forwarded-Client-Cert",
                                         "X-Forwarded",
                                         "Forwarded",
                                         "X-Request-Id",
                                         "traceparent",
                                         "tracestate",
                                         "X-Real-IP",
                                         "X-Scheme",
                                         "X-Url-Scheme",
                                         "X-Client-IP",
                                         "X-Cluster-Client-IP",
                                         "X-Original-Forwarded-For",
                                         "X-Original-Host",
                                         "X-Original-URL",
                                         "X-Rewrite-URL",
                                         "X-Script-Name",
                                         "X-Originating-IP",
                                         "X-Client-Cert",
                                         "X-Client-Verify",
                                         "SSL-Client-Cert",
                                         "SSL-Client-Verify",
                                         "SSL-Client-S-DN",
                                         "X-Authenticated-User",
                                         "X-Envoy-External-Address",
                                         "Front-End-Https",
                                         "True-Client-IP",
                                         "Client-IP",
                                         "CF-Connecting-IP",
                                         "Fastly-Client-IP",
                                         "Forwarded-For",
                                         "Remote-User",
                                         "Remote-Groups",
                                         "Remote-Name",
                                         "Remote-Email",
                                         "Client-Cert",
                                         "Client-Cert-Chain"};
constexpr std::string_view beginnings_of_claims[] = {"x-forwarded-", "x-ssl-", "x-remote-", "x-auth-request-"};

// "X-SSL-*" is one where claims begin so, "X-Forwarded-Tls" by its beginning, "X-Forwarded-Hots" a slip of the pen.
bool is_claim(const std::string& text) {
    constexpr std::size_t slip = 2;
    const auto name = in_lower_case(text);
    const auto begins = [&](std::string_view with) { return name.starts_with(with); };
    const auto is = [&](const std::string& claim) { return name == in_lower_case(claim); };
    if (name.ends_with('*')) {
        const std::string_view beginning = std::string_view(name).substr(0, name.size() - 1);
        return beginning.find('*') == beginning.npos &&
               (std::ranges::any_of(beginnings_of_claims, begins) ||
                std::ranges::any_of(beginnings_of_claims, [&](auto claim) { return claim.starts_with(beginning); }) ||
                std::ranges::any_of(claims,
                                    [&](const auto& each) { return in_lower_case(each).starts_with(beginning); }));
    }
    const auto nearly = [&](const std::string& claim) {
        return begins("x-forwarded-") && claim.starts_with("X-Forwarded-") && edit_distance(name, claim) <= slip;
    };
    return std::ranges::any_of(claims, is) || (is_token(name) && std::ranges::any_of(beginnings_of_claims, begins) &&
                                               std::ranges::none_of(claims, nearly));
}

void check_claims(const Proxy& proxy, Findings& findings) {
    for (std::size_t i = 0; i < proxy.trusted_proxies_set.size(); ++i) {
        const auto& name = proxy.trusted_proxies_set[i];
        if (is_claim(name)) continue;
        const auto meant = nearest(name, claims);
        findings.problem("proxy.trusted_proxies_set[" + std::to_string(i) + "]",
                         "'" + name +
                             "' is no field by which proxies tell of a client: write \"X-Forwarded-For\", \"X-SSL-*\" "
                             "for all that begin so, or \"*\" (what trusted_fields names is believed without)",
                         meant.empty() ? meant : '"' + meant + '"');
    }
}

void check_proxy(const Proxy& proxy, Findings& findings) {
    bool has_token = !proxy.token.empty() || !proxy.token_file.empty();
    for (std::size_t i = 0; i < proxy.control.size(); ++i) {
        auto path = "proxy.control[" + std::to_string(i) + "]";
        const auto& address = proxy.control[i];
        if (!address.starts_with('/') && !address.starts_with("unix:") && !address.starts_with("tcp:")) {
            findings.problem(path, "'" + address +
                                       "' must be the path of a unix socket, or \"tcp:HOST:PORT\" (with a token)");
            continue;
        }
        auto place = place_at(path, address, findings);
        bool token_unknown = !findings.sound("proxy.token") || !findings.sound("proxy.token_file");
        if (place && !place->unix_socket && !has_token && !token_unknown)
            findings.problem(path, "agents that dial over TCP must show a token: set [proxy] token or token_file, and "
                                   "PLIMSOLL_TOKEN where the agents run");
    }
    for (std::size_t i = 0; i < proxy.trusted_proxies.size(); ++i)
        if (proxy.trusted_proxies[i] != "unix" && !is_network(proxy.trusted_proxies[i]))
            findings.problem("proxy.trusted_proxies[" + std::to_string(i) + "]",
                             "'" + proxy.trusted_proxies[i] +
                                 "' is no network: write it as \"10.0.0.0/8\", \"fd00::/8\" or \"192.0.2.7\", or "
                                 "\"unix\" for all on unix sockets");
    for (std::size_t i = 0; i < proxy.trusted_fields.size(); ++i) {
        std::string_view name = proxy.trusted_fields[i];
        if (name.ends_with('*')) name.remove_suffix(1);
        if (!is_token(name) || name.find('*') != name.npos)
            findings.problem(
                "proxy.trusted_fields[" + std::to_string(i) + "]",
                "'" + proxy.trusted_fields[i] +
                    "' is no field's name: write \"X-WebAuth-User\", or \"Tailscale-*\" for all that begin so");
        else if (const auto why = why_never_taken(name); !why.empty())
            findings.problem("proxy.trusted_fields[" + std::to_string(i) + "]",
                             "'" + proxy.trusted_fields[i] + "': " + why +
                                 " (the application sees X-WebAuth-User as HTTP_X_WEBAUTH_USER)");
    }
    check_claims(proxy, findings);
    check_wishes(proxy, findings);
    if (!proxy.via.empty() && !is_token(proxy.via))
        findings.problem("proxy.via", "'" + proxy.via + "' must be a name without spaces, or empty for no Via at all");
    check_token("proxy", proxy.token, proxy.token_file, findings);
}

void check_admin(const Admin& admin, Findings& findings) {
    check_token("admin", admin.token, admin.token_file, findings);
    auto place = place_at("admin.listen", admin.listen, findings);
    bool has_token = !admin.token.empty() || !admin.token_file.empty();
    bool token_unknown = !findings.sound("admin.token") || !findings.sound("admin.token_file");
    if (place && !place->loopback() && !has_token && !token_unknown)
        findings.problem("admin.listen",
                         "whoever reaches the admin address can recycle workers, so one beyond this machine needs a "
                         "token: set [admin] token_file (or token), or listen on 127.0.0.1:PORT or unix:/path");
}

void check_log(const Log& log, Findings& findings) {
    std::vector<std::string> known;
    for (const auto& [name, field] : names(AccessField{})) known.emplace_back(name);
    std::string all;
    for (const auto& name : known) all += (all.empty() ? "" : ", ") + name;
    if (!log.trace.empty() && log.trace == log.file)
        findings.problem("log.trace", "'" + log.trace + "' is the log's own file: a trace needs one to itself");
    std::set<std::string> seen;
    for (std::size_t i = 0; i < log.access_fields.size(); ++i) {
        const auto& name = log.access_fields[i];
        const auto path = "log.access_fields[" + std::to_string(i) + "]";
        const auto meant = nearest(name, known);
        if (std::find(known.begin(), known.end(), name) == known.end())
            findings.problem(path, "'" + name + "' is no field of the access log: use " + all,
                             meant.empty() ? meant : '"' + meant + '"');
        else if (!seen.insert(name).second)
            findings.problem(path, "'" + name + "' stands in the list twice: once is enough");
    }
}

std::string why_no_health_path(const std::string& path) {
    if (!path.starts_with('/')) return "must begin with /: it is one path, as \"/-/ready\"";
    if (path.find('%') != std::string::npos) return "would never match: escapes are decoded before";
    return why_no_path("=" + path);
}

void check_listeners(const Config& config, Findings& findings) {
    std::map<std::string, std::string> taken; // address -> who has it
    std::string why_not;
    const auto admin = findings.sound("admin.listen") ? parse_place(config.admin.listen, why_not) : std::nullopt;
    for (std::size_t i = 0; i < config.listeners.size(); ++i) {
        auto path = "listener[" + std::to_string(i) + "].address";
        const auto& address = config.listeners[i].address;
        auto place = place_at(path, address, findings);
        if (const auto& mode = config.listeners[i].socket_mode; !parse_file_mode(mode))
            findings.problem("listener[" + std::to_string(i) + "].socket_mode",
                             '\'' + mode + "' is no mode: write four octal digits, from \"0000\" to \"0777\"");
        // At its default it is as long as the head has room for.
        const auto target = "listener[" + std::to_string(i) + "].max_target";
        if (const auto& each = config.listeners[i]; each.max_target.count >= each.max_header.count &&
                                                    findings.stands(target) && findings.sound(target) &&
                                                    findings.sound("listener[" + std::to_string(i) + "].max_header"))
            findings.problem(target, "'" + to_text(each.max_target) + "' does not fit into a head of max_header = \"" +
                                         to_text(each.max_header) + "\": no request could be so long");
        if (config.listeners[i].proxy_protocol && config.proxy.trusted_proxies.empty() &&
            findings.sound("proxy.trusted_proxies"))
            findings.problem("listener[" + std::to_string(i) + "].proxy_protocol",
                             "nobody may send the PROXY header: name the load balancers in proxy.trusted_proxies");
        if (const std::string& health = config.listeners[i].health_path; !health.empty())
            if (const std::string why_not = why_no_health_path(health); !why_not.empty())
                findings.problem("listener[" + std::to_string(i) + "].health_path", why_not);
        if (!place || (!place->unix_socket && place->port == 0)) continue; // port 0: each gets one of its own
        // Listeners may share a port: each client is the nearest one's. With the admin's socket they may not.
        if (admin && (place->includes(*admin) || admin->includes(*place))) {
            findings.problem(path, "'" + address + "' is already taken by [admin] listen");
            continue;
        }
        auto [other, first] =
            taken.emplace(place->canonical(), "the listener on line " + std::to_string(findings.position(path).line));
        if (!first) findings.problem(path, "'" + address + "' is already taken by " + other->second);
    }
}

} // namespace

void check_program(const Config& config, Findings& findings) {
    check_proxy(config.proxy, findings);
    check_admin(config.admin, findings);
    check_log(config.log, findings);
    check_listeners(config, findings);
}

} // namespace plimsoll::config
