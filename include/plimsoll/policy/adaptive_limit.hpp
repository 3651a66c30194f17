// How many requests to have in a worker at once, where nobody says: learned from how long they take and how many are done.
//
// An event loop has no slots. Up to some number more requests at once mean more answers (they wait for a database); beyond it
// they only mean that each waits longer. The limit follows the latency gradient (as Netflix's Gradient2), once a window:
//
//   gradient = clamp(1.5 * base / latency, 0.5, 1)          limit += 0.4 * (gradient * limit + sqrt(limit) - limit)
//
// `base` is the latency without queueing, and what such limits fail by: learned under load it is too long and the limit drifts
// up for ever; after the application has become slower it is too short and the limit falls to its minimum; and measuring it
// with the limit pinned to the minimum refuses requests. So it is never probed for. Instead the limit in force alternates a
// little from window to window while it is what holds requests back, and the answer is how much the throughput X followed the
// concurrency N (throughput's elasticity; since latency = N / X, latency's is 1 - e):
//
//   e = sum(dlnN * dlnX) / sum(dlnN^2)      over the last dozen windows, with its standard error
//
//   surely below 1/2: more at once brings no more. The limit shrinks by a tenth, whatever the gradient says
//   surely above 1/2: more at once brings more. The latency is the work's own, and the base moves towards it
//
// The base also falls to any shorter latency, and is what a request takes that is alone. The limit does not grow while less
// than half of it is used: then the clients are the limit, and nothing is learned of the worker's. It is never below `min`.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

#include "plimsoll/core/time.hpp"

namespace plimsoll {

class AdaptiveLimit {
public:
    struct Settings { // 1 <= min <= initial <= max
        unsigned min = 1, initial = 8, max = 200;
        friend bool operator==(const Settings&, const Settings&) = default;
    };
    enum class Seen : unsigned char { success, timeout, nothing }; // nothing: it tells nothing of the latency

    explicit AdaptiveLimit(unsigned initial) : limit_(initial) {}

    // A request began, or ended after `took`. in_flight: in the worker, afterwards. True: limit() may have changed.
    void began(Instant now, unsigned in_flight) { occupy(now, in_flight); }
    bool ended(Instant now, const Settings& settings, unsigned in_flight, Duration took, Seen seen);

    unsigned limit(const Settings& settings) const; // in force now
    double learned() const { return limit_; }
    Duration base() const; // 0: not known yet

private:
    void occupy(Instant now, unsigned in_flight);
    bool window_is_over(Instant now) const;
    void begin_window(Instant now);
    void learn(Instant now, const Settings& settings);
    void learn_elasticity(double concurrency, double throughput);
    void settle_base(double latency, double concurrency, bool scales);
    enum class Verdict : unsigned char { unknown, saturated, scales };
    Verdict verdict() const;

    double limit_;
    double base_ = 0;      // seconds
    bool starting_ = true; // nothing has spoken against more yet: it grows faster
    bool lowered_ = false; // the limit in force is the lower one of the two

    // The window: at first one limit's worth of requests, which still tell of the one before, then what counts.
    bool settling_ = true;
    unsigned done_ = 0, timeouts_ = 0;
    double latency_sum_ = 0, occupied_ = 0; // seconds; requests * seconds
    Duration longest_took_{}, settle_{};    // of this window; for so long at least the one before is still felt
    unsigned most_in_flight_ = 0, in_flight_ = 0;
    Instant began_{}, occupied_since_{};

    // Of windows in which the limit held requests back.
    double last_concurrency_ = 0, last_throughput_ = 0; // logarithms
    bool has_last_ = false;
    double weight_ = 0, sum_xx_ = 0, sum_xy_ = 0, sum_yy_ = 0;
};

} // namespace plimsoll
