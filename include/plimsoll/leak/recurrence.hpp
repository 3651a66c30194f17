// Is this the leak that was there before? A leak comes back in the next generation, after a restart, with the next release: then its
// story goes on, and no new one begins.
//
//   lines known of both    --> one in common: the same         a line is "FILE in FUNCTION", which outlives edits above it
//   else routes of both    --> one in common: the same
//   else types of both     --> one in common: the same
//   in common but for that --> different;   nothing to compare --> nobody knows
//
// What is known grows while a leak is watched (at first nothing, then its routes, then its line), so the same question is asked
// again whenever something is found out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace plimsoll::leak {

struct Fingerprint {
    static constexpr std::size_t most = 8;         // of each kind; the first ones say most
    std::vector<std::string> routes, lines, types; // types: of objects, or kinds of what is open ("tcp close-wait")
    bool empty() const { return routes.empty() && lines.empty() && types.empty(); }
    friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
};
enum class Match : std::uint8_t { unknown, same, different };
Match match(const Fingerprint& one, const Fingerprint& other);
// What both know of one leak; the newer words come first.
Fingerprint merged(const Fingerprint& newer, const Fingerprint& older);

// Leaks whose stories have ended, as far as they can come back. At most `most`: the one that was seen longest ago goes first.
struct PastLeak {
    std::string incident;
    Fingerprint mark;
    std::string release; // in which it was seen last; empty: unknown
    unsigned recycles = 0;
    double accused_age = 0; // requests
    friend bool operator==(const PastLeak&, const PastLeak&) = default;
};
class Docket {
public:
    static constexpr std::size_t most = 32;
    void close(PastLeak leak);
    // The latest that is surely the same; it is taken off the docket. Nothing where none is.
    bool reopen(const Fingerprint& mark, PastLeak& into);
    const std::vector<PastLeak>& all() const { return past_; } // the latest is the last

private:
    std::vector<PastLeak> past_;
};

} // namespace plimsoll::leak
