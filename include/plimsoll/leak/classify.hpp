// What growth means. Whether there is a trend is the wrong question (there always is one): these are asked instead, and the
// first that has an answer gives the class.
//
//   does it grow enough to exhaust what is left within the horizon?   no   -> steady, or unsharing where private pages rise
//   do live bytes grow with it?                                       no   -> fragmentation
//   does it slow down so that it will not get there, for good?        yes  -> warming (young) or cache (not of whom an
//                                                                             experiment sends requests by lot: see `steered`)
//   did earlier processes go on growing to their end?                 yes  -> leaking
//   did they stop, and were they never smaller than this?             yes  -> cache, or steady (where they are of another release:
//                                                                             unless it grows much faster than they did)
//   is 42 % of the headroom gone?                                     yes  -> leaking: but with little confidence up to 60 % where
//                                                                             more traffic comes at the end than before
//   does more traffic come at the end of the window than before?      yes  -> unknown: memory may follow the load
//   is it old enough to tell?                                         no   -> warming
//                                                                          -> leaking, at first with little confidence
//
// The limits stand in Thresholds; tests/sim/leak_sim measures what they are worth.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "plimsoll/core/robust_line.hpp"
#include "plimsoll/leak/history.hpp"

namespace plimsoll::leak {

enum class Class : std::uint8_t { unknown, steady, warming, cache, fragmentation, unsharing, leaking };
std::string_view to_string(Class kind);

// Of one process at one age, all over the last two thirds of its life.
struct Evidence {
    double age = 0;              // requests served
    Line trend;                  // of the low-water marks
    double exponent = 1;         // p of growth ~ age^p: 1 goes on, below it slows down
    double late_exponent = 1;    // the same of the last half of the life: what faded earlier is out of it
    bool settles = false;        // something faded and is over, what is left goes on (plimsoll/leak/deceleration.hpp)
    double level = 0, floor = 0; // the trend's end; the lowest low-water mark
    double load_rise = 1;        // requests a second late in the window by those early in it
    double pace = 0;             // the most requests a second so far
    // It was called leaking, and an experiment drew by lot what it was asked: it may have got fewer of the leaking requests since, so
    // that it fades is no answer. That it stands still, or did as earlier ones did, is.
    bool steered = false;
    std::optional<Line> live; // of the allocator's live bytes
    std::optional<Line> private_pages;
};

// What the growth is measured against.
struct Situation {
    double limit = 0;             // bytes (or descriptors, threads) that this process must not reach
    double requests_a_second = 0; // lately
    std::optional<History::Precedent> precedent = {}; // what earlier processes did at this age
};

struct Thresholds {
    double horizon = 24 * 3600;    // seconds: what gets there later is slow, and nobody's emergency
    double least_growth = 6 << 20; // over the window, or a tenth of the headroom: below it is the allocator's grain
    double young = 2000;           // requests: age gate of a process without precedent
    double sure = 0.8;             // confidence from which a leak is an incident; below, it is a suspicion
};

struct Finding {
    Class kind = Class::unknown;
    double confidence = 0; // that the class is right; tests/sim/leak_sim prints how well it is calibrated
    bool slow = false;     // it grows, and reaches the limit beyond the horizon
};

// How many requests the horizon holds, at least as many as were served.
double requests_ahead(const Evidence& evidence, const Situation& situation, const Thresholds& thresholds);
// Mean growth a request over so many: 0 where the trend is not sure or fades. Nothing where load rises: it cannot be said.
std::optional<double> lasting_trend(const Evidence& evidence, double requests_ahead);

// Whether earlier processes grew as much, but for `beyond` times it, and stopped well below the limit.
inline constexpr double beyond_peak = 1.25; // more than they ever grew: it is not what they had
bool grew_as_much(const History::Precedent& past, double grown, double headroom, double beyond);

Finding classify(const Evidence& evidence, const Situation& situation, const Thresholds& thresholds);

} // namespace plimsoll::leak
