// What a route does beyond choosing a pool, ready to be done. Most routes do nothing of it and have none of these.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "config/page.hpp"
#include "net/http/field_edits.hpp"
#include "net/http/head.hpp"

namespace plimsoll::net {

// An answer that needs no worker.
struct Page {
    unsigned status = 0;
    std::string content_type, body;
    std::vector<config::TargetPiece> location; // of a redirect
};

// By what a session is known, and kept at its worker (plimsoll/policy/affinity.hpp).
class Affinity {
public:
    explicit Affinity(const config::Route& route);
    std::string key(const http::FieldTable& fields) const; // the cookie's or field's value; empty: it has none
    bool sets_cookie() const { return sets_cookie_; }
    std::string set_cookie(std::string_view value, bool secure) const; // a whole line
private:
    std::string name_;
    bool cookie_, sets_cookie_;
};

struct RouteActions {
    explicit RouteActions(const config::Route& route);

    std::string strip_prefix, replace_prefix;
    bool rewrites = false;
    http::FieldEdits request, response;
    std::optional<Page> page; // a fixed answer or a redirect
    std::optional<Affinity> affinity;
};

bool has_actions(const config::Route& route);

// The page of a maintenance that is on: null where it is off. Without a body a plain refusal tells as much.
struct Closed {
    Duration retry_after{};
    Page page;
};
std::shared_ptr<const Closed> closed_for(const config::Maintenance& maintenance);

// Where a redirect leads. `path` is safe (rewritten_path). Empty: it needs a host, and the request has none.
std::string location_of(const Page& page, const http::RequestHead& head, std::string_view path);

} // namespace plimsoll::net
