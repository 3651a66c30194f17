// Who may use the admin API. A unix socket's file mode decides by itself. Over TCP there are two dangers: a peer from outside,
// against which there is the token, and a browser on this host that a foreign page has put up to it, against which there are
// Host (a page that has rebound its own name to 127.0.0.1 still names itself there) and Origin.
#pragma once

#include <optional>
#include <string>

#include "admin/message.hpp"

namespace plimsoll::admin {

struct Access {
    bool unix_socket = false;
    std::string host;  // the configured one, which a client may name as well
    std::string token; // empty: none is asked for
};

bool has_token(const Access& access, const Request& request); // true where none is asked for
// Nothing where the request may go on. `open` paths (health checks) need no token.
std::optional<Response> refuse(const Access& access, const Request& request, bool open);

bool equal_in_constant_time(std::string_view a, std::string_view b);

} // namespace plimsoll::admin
