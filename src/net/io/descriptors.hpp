// Descriptors are shared by clients, workers' connections, bodies in files, and by what an operator needs when they run out:
// the admin API, agents, the store. So the byte path leaves some of them alone.
//
// The kernel always gives the lowest free number. A number at or above `limit - reserve` therefore says that no more than
// the reserve is left, without counting anything: who got such a one gives it back.
#pragma once

#include <sys/resource.h>

namespace plimsoll::net::io {

// Once, before anything is started: the soft limit is a habit of shells, the hard one is the operator's word.
void raise_descriptor_limit();
rlimit
inherited_descriptor_limit(); // as we were started with: what our children get, select() in them knows 1,024 only

// How many clients there may be: each may need a connection to a worker beside its own.
unsigned affordable_clients();

bool is_of_the_reserve(int fd);
// Closes it and says so (EMFILE) where it is one of the reserve; else, and for an error, it is returned as it is.
int spare_the_reserve(int fd);

} // namespace plimsoll::net::io
