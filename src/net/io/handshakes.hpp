// Clients that are halfway in: their handshake has begun, and the listening socket has not got them yet. To close it resets
// them. That is a round trip for any client; where accepting is deferred it lasts until the client speaks, for as long as
// the kernel was told.
#pragma once

#include <optional>

namespace plimsoll::net::io {

// On the TCP port that this socket listens on, whichever socket has it; asks the kernel (sock_diag(7)) for its list, a quarter
// of a millisecond. Nothing: the kernel does not tell.
std::optional<bool> handshakes_under_way(int listening);

} // namespace plimsoll::net::io
