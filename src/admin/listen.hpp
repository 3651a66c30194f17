// The socket that the admin API listens on.
#pragma once

#include <string>

#include "net/address.hpp"

namespace plimsoll::admin {

struct Listening {
    int fd = -1;
    net::Address address; // as bound: port 0 is resolved
    std::string problem;  // where fd is -1: the line that says how to mend it
};
// A unix socket is made for its owner alone (0600) from its first moment; one that nobody listens on any more is replaced.
Listening listen_at(const std::string& text, bool has_token);

} // namespace plimsoll::admin
