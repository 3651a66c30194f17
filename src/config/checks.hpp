// The rules about more than one key, and about what a text must look like. Each looks only at keys that were read
// without a problem, so that one mistake is told once.
#pragma once

#include "config/config.hpp"
#include "config/findings.hpp"

namespace plimsoll::config {

void check_addresses(const Config& config, Findings& findings); // before the rest: where we listen, all together
void check_program(const Config& config, Findings& findings);   // proxy, admin, log, listeners
void check_redis(const Config& config, Findings& findings);     // and the limits that need it
void check_routes(const Config& config, Findings& findings);
void check_pools(const Config& config, Findings& findings);
void check_files(const Config& config, Findings& findings);   // of what it names, as it lies on this machine
void check_effects(const Config& config, Findings& findings); // of what is sound: warnings

// Parts of the above.
void check_actions(const std::string& path, const Route& route,
                   Findings& findings); // what it does beyond choosing a pool
void check_maintenance(const std::string& path, const Maintenance& maintenance, Findings& findings);
std::string why_no_path(const std::string& path);    // of a route; empty: it is one
bool is_token(std::string_view text);                // a field's name, a cookie's, a method (RFC 9110, 5.6.2)
std::string why_never_taken(std::string_view field); // from a client; empty: it is

} // namespace plimsoll::config
