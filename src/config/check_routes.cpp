#include <algorithm>
#include <array>
#include <cctype>
#include <map>

#include "config/checks.hpp"
#include "config/nearest.hpp"
#include "config/pattern.hpp"
#include "config/place.hpp"
#include "config/values.hpp"

namespace plimsoll::config {
namespace {

bool has_escape(std::string_view path) {
    for (std::size_t at = path.find('%'); at != std::string_view::npos; at = path.find('%', at + 1))
        if (at + 2 < path.size() && std::isxdigit(static_cast<unsigned char>(path[at + 1])) != 0 &&
            std::isxdigit(static_cast<unsigned char>(path[at + 2])) != 0)
            return true;
    return false;
}

// How others write a part of a path that may be anything; here it would be matched as it stands.
std::string warning_of_wildcards(const std::string& path) {
    const bool exact = path.starts_with('=');
    const auto plain = exact ? path.substr(1) : path;
    const auto star = plain.find('*');
    const auto brace = plain.find('{');
    const bool named = brace != std::string::npos && plain.find('}', brace) != std::string::npos;
    if (star == std::string::npos && !named) return {};
    const auto told = "'" + path + "': " + (named ? "{}" : "*") + " stands for itself in a path: ";
    const bool at_end = !named && plain.find_first_not_of('*', star) == std::string::npos;
    if (at_end && !exact)
        return told + "each path is a prefix, so write \"" + plain.substr(0, star) + "\" for all that begin so";
    return told + "write ~ and a regular expression, such as '~^/users/[^/]+/orders'";
}

// What is matched is the path of a request after its escapes, its dots and its empty segments have been resolved. `whole`: it is
// all of the path, while a prefix may end within a segment ("/.", "/a/..").
std::string why_never_asked_for(std::string_view path, bool whole) {
    const std::string closed = std::string(path) + (whole ? "/" : "");
    for (const std::string_view part : {"/./", "/../"})
        if (closed.find(part) != std::string::npos) return "would never match: . and .. are resolved before";
    if (path.find("//") != std::string_view::npos) return "would never match: of several / in a row one is left";
    return {};
}

} // namespace

std::string why_no_path(const std::string& path) {
    if (path.starts_with('~')) {
        const Pattern pattern(std::string_view(path).substr(1));
        return pattern.problem().empty() ? std::string()
                                         : "the regular expression does not compile: " + pattern.problem();
    }
    auto plain = path.starts_with('=') ? std::string_view(path).substr(1) : std::string_view(path);
    if (!plain.starts_with('/'))
        return "must begin with / (a prefix), =/ (exactly this path) or ~ (a regular expression)";
    for (unsigned char c : plain)
        if (c <= ' ' || c == 0x7f || c == '?' || c == '#')
            return "a path holds no spaces, control characters, ? or #: the query is no part of what is matched";
    return why_never_asked_for(plain, path.starts_with('='));
}

namespace {

bool is_host(std::string_view host) {
    if (host.starts_with("*.")) host.remove_prefix(2);
    bool bracketed = host.starts_with('[') && host.ends_with(']');
    return !host.empty() && std::all_of(host.begin(), host.end(), [bracketed](unsigned char c) {
        return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_' ||
               (bracketed && (c == ':' || c == '[' || c == ']'));
    });
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
}

std::string why_no_header(std::string_view text) {
    const auto colon = text.find(':');
    const auto name = text.substr(0, colon);
    if (!is_token(name)) return "must begin with a field's name: \"NAME\", \"NAME: VALUE\" or \"NAME: ~REGEX\"";
    if (auto why = why_never_taken(name); !why.empty()) return why;
    if (colon == std::string_view::npos) return {};
    auto value = text.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    if (!value.starts_with('~')) return {};
    const Pattern pattern(value.substr(1));
    return pattern.problem().empty() ? std::string() : "the regular expression does not compile: " + pattern.problem();
}

std::string in_quotes(const std::string& word) { return word.empty() ? word : '"' + word + '"'; }

std::string upper(std::string text) {
    for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return text;
}

bool is_limit_key(std::string_view key) {
    if (key == "client" || key == "path" || key == "label") return true;
    for (std::string_view kind : {"header:", "cookie:", "query:"})
        if (key.starts_with(kind)) return is_token(key.substr(kind.size()));
    return false;
}

std::string meant_limit_key(std::string_view key) {
    const auto colon = key.find(':');
    if (colon == std::string_view::npos) return nearest(key, std::vector<std::string>{"client", "path", "label"});
    const auto kind = nearest(key.substr(0, colon), std::vector<std::string>{"header", "cookie", "query"});
    return kind.empty() || !is_token(key.substr(colon + 1)) ? "" : kind + std::string(key.substr(colon));
}

std::string why_no_limit_key(std::string_view key) {
    if (!is_limit_key(key)) return " must be client, path, label, header:NAME, cookie:NAME or query:NAME";
    constexpr std::string_view header = "header:";
    const auto why = key.starts_with(header) ? why_never_taken(key.substr(header.size())) : std::string();
    return why.empty() ? why : ": " + why;
}

// What is owed at most, and with it all arithmetic on times, stays far below what fits.
void check_rate(const std::string& path, const Limit& limit, Findings& findings) {
    const auto rate = parse_rate(limit.rate);
    if (!rate)
        return findings.problem(path + ".rate",
                                "'" + limit.rate +
                                    "' is no rate: write a number above 0 and /s, /m or /h, such as \"100/s\"");
    constexpr double most_years = 10, seconds_a_year = 365.0 * 24 * 3600;
    if (!findings.sound(path + ".burst")) return;
    if (const double years = (limit.burst + 1.0) / rate->per_second / seconds_a_year; years > most_years)
        findings.problem(path + (findings.stands(path + ".burst") ? ".burst" : ".rate"),
                         "at " + limit.rate + " a burst of " + std::to_string(limit.burst) +
                             " is there again after more than 10 years: raise the rate or lower the burst");
}

bool is_limit_name(std::string_view name) {
    return name.size() <= 64 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
               return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
           });
}

void check_limit(const std::string& path, const Limit& limit, Findings& findings) {
    for (std::size_t i = 0; i < limit.key.size(); ++i)
        if (const auto why = why_no_limit_key(limit.key[i]); !why.empty())
            findings.problem(path + ".key[" + std::to_string(i) + "]", "'" + limit.key[i] + "'" + why,
                             is_limit_key(limit.key[i]) ? "" : in_quotes(meant_limit_key(limit.key[i])));
    if (limit.key.empty())
        findings.problem(path + ".key", "must name at least one thing to count by, such as \"client\"");
    for (std::size_t i = 0; i < limit.allow.size(); ++i)
        if (!is_network(limit.allow[i]))
            findings.problem(path + ".allow[" + std::to_string(i) + "]",
                             "'" + limit.allow[i] +
                                 "' is no network: write it as \"10.0.0.0/8\", \"fd00::/8\" or \"192.0.2.7\"");
    if (!is_limit_name(limit.name))
        findings.problem(path + ".name", "a name is at most 64 letters, digits, '-', '_' and '.'");
    if (findings.sound(path + ".cost") && findings.sound(path + ".burst") && limit.cost > limit.burst + 1)
        findings.problem(path + ".cost", "a request that costs more than burst + 1 would never pass",
                         "burst = " + std::to_string(limit.cost - 1));
    if (!findings.sound(path + ".rate") || !findings.sound(path + ".inflight")) return;
    if (limit.rate.empty() && limit.inflight == 0)
        findings.problem(path + ".rate",
                         "is missing: write how much is allowed, such as rate = \"100/s\" or inflight = 10");
    else if (!limit.rate.empty())
        check_rate(path, limit, findings);
}

// Limits that share their counts must agree on what they count.
void check_limits_of_one_name(const Config& config, Findings& findings) {
    std::map<std::string, std::pair<const Limit*, std::string>> first;
    for (std::size_t r = 0; r < config.routes.size(); ++r)
        for (std::size_t l = 0; l < config.routes[r].limits.size(); ++l) {
            const Limit& limit = config.routes[r].limits[l];
            if (limit.name.empty()) continue;
            const auto path = "route[" + std::to_string(r) + "].limit[" + std::to_string(l) + "]";
            const auto [found, is_first] = first.try_emplace(limit.name, &limit, path);
            const Limit& other = *found->second.first;
            if (is_first || (limit.key == other.key && limit.rate == other.rate && limit.burst == other.burst &&
                             limit.shared == other.shared))
                continue;
            findings.problem(path + ".name",
                             "the limit '" + limit.name + "' on line " +
                                 std::to_string(findings.position(found->second.second).line) +
                                 " has another key, rate, burst or shared: limits of one name share their counts");
        }
}

void check_pool_of(const std::string& path, const Route& route, const Config& config, Findings& findings) {
    if (!findings.sound(path + ".pool")) return;
    std::vector<std::string> pools;
    for (std::size_t i = 0; i < config.pools.size(); ++i) {
        if (!findings.sound("pool[" + std::to_string(i) + "].name") || config.pools[i].name.empty()) return;
        pools.push_back(config.pools[i].name);
    }
    if (pools.empty()) return;
    if (std::find(pools.begin(), pools.end(), route.pool) != pools.end()) return;
    std::string known;
    for (const auto& pool : pools) known += (known.empty() ? "" : ", ") + pool;
    if (route.pool.empty())
        findings.problem(path + ".pool", "is missing: name one of the pools: " + known);
    else {
        auto meant = nearest(route.pool, pools);
        findings.problem(path + ".pool", "there is no pool '" + route.pool + "', only " + known, in_quotes(meant));
    }
}

void check_route(const std::string& path, const Route& route, const Config& config, Findings& findings) {
    if (findings.sound(path + ".path")) {
        if (auto why = why_no_path(route.path); !why.empty())
            findings.problem(path + ".path", "'" + route.path + "': " + why);
        else if (!route.path.starts_with('~') && has_escape(route.path))
            findings.warning(path + ".path",
                             "'" + route.path +
                                 "': paths are matched decoded, so this is for clients that encode twice: "
                                 "write the characters themselves, or ~ and a regular expression");
        else if (const auto meant = route.path.starts_with('~') ? std::string() : warning_of_wildcards(route.path);
                 !meant.empty())
            findings.warning(path + ".path", meant);
    }
    if (!route.host.empty() && !is_host(route.host))
        findings.problem(path + ".host", "'" + route.host + "' must be a host name without port, or \"*.example.org\"");
    else if (route.host.ends_with('.'))
        findings.problem(path + ".host", "would never match: the dot at the end of a host is dropped before",
                         '"' + route.host.substr(0, route.host.size() - 1) + '"');
    for (std::size_t i = 0; i < route.methods.size(); ++i) {
        const auto& method = route.methods[i];
        auto method_path = path + ".methods[" + std::to_string(i) + "]";
        if (!is_token(method))
            findings.problem(method_path, "'" + method + "' is no method");
        else if (method != upper(method))
            findings.problem(method_path, "methods are written in capitals", '"' + upper(method) + '"');
    }
    for (std::size_t i = 0; i < route.headers.size(); ++i)
        if (auto why = why_no_header(route.headers[i]); !why.empty())
            findings.problem(path + ".headers[" + std::to_string(i) + "]", "'" + route.headers[i] + "': " + why);
    check_actions(path, route, findings);
    if (route.respond.status == 0 && route.redirect.to.empty()) check_pool_of(path, route, config, findings);
    if (route.label.size() > 200 ||
        std::any_of(route.label.begin(), route.label.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }))
        findings.problem(path + ".label", "a label is one line of at most 200 bytes");
    for (std::size_t i = 0; i < route.limits.size(); ++i)
        check_limit(path + ".limit[" + std::to_string(i) + "]", route.limits[i], findings);
}

bool matches_every_path(std::string_view path) {
    constexpr std::array all = {"/", "~/", "~^/", "~", "~^", "~.*", "~^.*", "~^.*$", "~^/.*", "~^/.*$"};
    return std::ranges::find(all, path) != all.end();
}

// All that `later` matches goes to `earlier`. Says no where it cannot tell.
bool hides(const Route& earlier, const Route& later) {
    if (!earlier.host.empty() && earlier.host != later.host) return false;
    bool methods =
        earlier.methods.empty() ||
        (!later.methods.empty() && std::all_of(later.methods.begin(), later.methods.end(), [&](const auto& m) {
            return std::find(earlier.methods.begin(), earlier.methods.end(), m) != earlier.methods.end();
        }));
    if (!methods || (!earlier.headers.empty() && earlier.headers != later.headers)) return false;
    if (matches_every_path(earlier.path) || earlier.path == later.path) return true;
    if (!earlier.path.starts_with('/')) return false;
    const auto path = std::string_view(later.path).substr(later.path.starts_with('=') ? 1 : 0);
    return path.starts_with(earlier.path); // as plain text: "/api" takes "/apiary" too
}

void warn_of_hidden_routes(const Config& config, Findings& findings) {
    // The comparison is quadratic: thousands of routes are generated, and sorted by whoever generates them.
    auto count = std::min<std::size_t>(config.routes.size(), 500);
    for (std::size_t later = 1; later < count; ++later)
        for (std::size_t earlier = 0; earlier < later; ++earlier) {
            if (!hides(config.routes[earlier], config.routes[later])) continue;
            auto line = findings.position("route[" + std::to_string(earlier) + "]").line;
            findings.warning("route[" + std::to_string(later) + "]",
                             "is never reached: the first match wins, and the route " + config.routes[earlier].path +
                                 " on line " + std::to_string(line) + " matches all of it: put this one before it");
            break;
        }
}

void warn_of_idle_pools(const Config& config, Findings& findings) {
    for (std::size_t i = 0; i < config.pools.size(); ++i) {
        const auto& name = config.pools[i].name;
        bool used = std::any_of(config.routes.begin(), config.routes.end(),
                                [&](const Route& route) { return route.pool == name; });
        if (!used)
            findings.warning("pool[" + std::to_string(i) + "]",
                             "no route names the pool '" + name + "': it gets no requests");
    }
}

} // namespace

bool is_token(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 ||
               std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos;
    });
}

std::string why_never_taken(std::string_view field) {
    if (field.find('_') == std::string_view::npos && !lower(field).starts_with("x-plimsoll-")) return {};
    return "fields of this name are never taken from a client";
}

void check_routes(const Config& config, Findings& findings) {
    if (config.routes.empty() && config.pools.size() > 1 && findings.sound("route"))
        findings.problem("route",
                         "is missing: with more than one pool, a [[route]] must say which requests go to which pool");
    for (std::size_t i = 0; i < config.routes.size(); ++i)
        check_route("route[" + std::to_string(i) + "]", config.routes[i], config, findings);
    check_limits_of_one_name(config, findings);
    if (!findings.sound("route") || !findings.sound("pool")) return;
    warn_of_hidden_routes(config, findings);
    warn_of_idle_pools(config, findings);
}

} // namespace plimsoll::config
