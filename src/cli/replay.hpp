// `plimsoll replay TRACE...`: what would have become of the requests that a proxy recorded ([log] trace) under other limits.
// Needs neither a configuration nor a running proxy, so it may run anywhere that the trace was copied to.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace plimsoll::cli {

struct ReplayOptions {
    std::vector<std::string> files; // one trace, or those of one that was rotated
    std::string pool;               // whose requests; empty: the first one's
    unsigned workers = 4, slots = 1;
    std::size_t size = 1024; // of the queue
    std::string timeout = "5s", target;
    double faster = 1;
    std::string memory, worker_memory, base; // limits: of all workers together, of each; what one holds at rest
    std::vector<std::string> limits;         // ROUTE=RATE[,burst=N][,key=client]; ROUTE *: all of the pool
};

// 0: told; 1: the gate broke a promise. What cannot be played is thrown as a Failure.
int replay(const ReplayOptions& options, std::ostream& out);

} // namespace plimsoll::cli
