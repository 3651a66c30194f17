// The trace of one reactor ([log] trace): what each request asked of its pool, and nothing that names its client. It is
// what `plimsoll replay` plays, so it tells what does not hang on the limits that were in force: when a request came, how
// important it was, and how long it needs a worker.
//
//   {"at":1772331245.117342,"pool":"app","route":"/api","client":"5bd1a2f09c3e7d64","priority":"normal","deadline":2.500000,
//    "wait":0,"service":0.004812,"need":209715200,"received":0,"sent":512,"status":200}
//
// at: unix seconds, when it asked for a slot. route: what the application calls such requests, else the route's label;
// label: that one as well, where they differ. Who was refused heard no name: it is what others like it were called
// before, since the last start or reload. client: tells one client from another and nobody who he is: a hash of his
// address (IPv6: of its /64) by a key that is drawn with each start and each reload, and written nowhere; not there where
// he has none. deadline: for so long from then on an answer was of use, to the client (its X-Request-Timeout) or by the
// deadline of its route or pool, whichever is sooner; not there where neither said so. wait: in the queue. service: it
// held a slot for so long; not there where it never held one. need: bytes of memory that such requests need at their
// peak, as far as was known when this one had ended; not there where nothing was, or less than a mebibyte. refused: why,
// where it was. All spans are seconds. Requests that asked no pool for a slot have no line, but for those that a rate
// limit refused: another limit would have let them in.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/line_block.hpp"
#include "plimsoll/core/bytes.hpp"

namespace plimsoll::net {

struct TraceEntry {
    std::chrono::system_clock::time_point at;
    std::string_view pool, route, priority, refused;
    std::string_view label;           // the route's own, where `route` is another name; else empty
    std::uint64_t client = 0;         // 0: not known
    std::optional<Duration> deadline; // from `at` on; below 0: it had passed
    Duration wait{};
    std::optional<Duration> service;
    Bytes need;
    std::uint64_t received = 0, sent = 0; // bytes of the bodies
    unsigned status = 0;                  // 0: nothing was answered
};

void append_trace_line(std::string& out, const TraceEntry& entry);

class TraceLog {
public:
    explicit TraceLog(io::Loop& loop);
    void add(const TraceEntry& entry);
    void flush() { block_.flush(); }

private:
    LineBlock block_;
};

} // namespace plimsoll::net
