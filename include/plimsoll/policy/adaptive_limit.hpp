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
//
// A loop that only awaits can have thousands, and a few slow requests must not hold all of its slots from the quick ones. So
// while nothing speaks against more, the limit probes by raising at once, at first to twice:
//
//            +------ e >= 1/2, latency <= 1.5 * base: raise again ------+
//            v                                                          |
//   known ---+--> raised: one window at so much more -------------------+--> else: back to what it was, and learn as above
//     ^  scales                                                              |
//     +----------------------------------------------------------------------+
//
// It is raised as well when it is full, somebody waits, and nothing like the usual has ended for a while: what holds the slots
// then awaits something else. At most thrice in a row, each after twice the time: it may compute for as long after all, and where
// it did, four times as long has to pass the next time.
//
// Latency is the geometric mean of requests that are alike: N requests that share a worker take at most N times as long as one
// alone. What took more than twice that is no queueing but another kind of request, and is left out: which kinds happen to end
// in a window must not look like slowness. Beyond the demand the limit means nothing and could learn nothing: it is at most
// twice what the worker had at once lately and a few, and where requests take longer there, no more than that.
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

    explicit AdaptiveLimit(unsigned initial);

    // A request began, or ended after `took`. in_flight: in the worker, afterwards. True: limit() may have changed.
    void began(Instant now, unsigned in_flight) { occupy(now, in_flight); }
    bool ended(Instant now, const Settings& settings, unsigned in_flight, Duration took, Seen seen);
    // Somebody waits. To be told every now and then for as long as it lasts; true as above.
    bool awaited(Instant now, const Settings& settings);

    unsigned limit(const Settings& settings) const; // in force now
    double learned() const { return limit_; }
    Duration base() const; // 0: not known yet

private:
    void occupy(Instant now, unsigned in_flight);
    bool comparable(Duration took) const;
    bool window_is_over(Instant now) const;
    void begin_window(Instant now);
    void learn(Instant now, const Settings& settings);
    void learn_unlimited(double gradient, const Settings& settings);
    void learn_elasticity(double concurrency, double throughput);
    double since_last(double concurrency, double throughput) const;
    void forget_elasticity();
    void settle_base(double latency, double concurrency, bool scales);
    void settle_usual(double took);
    void follow(double gradient);
    void raise(const Settings& settings);
    void fall_back();
    void keep_raised();
    enum class Verdict : unsigned char { unknown, saturated, scales };
    Verdict verdict() const;

    double limit_;
    double base_ = 0;      // seconds
    double usual_ = 0;     // the lower quartile of what requests take, queueing and all; seconds
    unsigned settled_ = 0; // requests that it was learned from
    bool lowered_ = false; // the limit in force is the lower one of the two
    double peak_ = 0;      // in flight, lately

    // Raising.
    bool starting_ = true;                // nothing has spoken against more yet
    double before_ = 0;                   // the limit before it was raised, until that is judged; 0: it is not raised
    double pace_;                         // by so much
    Instant quiet_since_{};               // no comparable request has ended, and the limit has not been raised
    unsigned blind_ = 0;                  // so often in a row it has been raised for that
    unsigned most_blind_ = 0, doubt_ = 1; // of this raise; so much longer it takes since blind ones have failed

    // The window: at first one limit's worth of requests, which still tell of the one before, then what counts.
    bool settling_ = true;
    unsigned done_ = 0, alike_ = 0, timeouts_ = 0;
    double logs_ = 0, all_logs_ = 0, occupied_ = 0; // of seconds, of those alike and of all; requests * seconds
    Duration longest_took_{}, settle_{};            // of this window; for so long at least the one before is still felt
    unsigned most_in_flight_ = 0, in_flight_ = 0;
    Instant began_{}, occupied_since_{};

    // Of windows in which the limit held requests back.
    double last_concurrency_ = 0, last_throughput_ = 0; // logarithms
    bool has_last_ = false;
    double weight_ = 0, sum_xx_ = 0, sum_xy_ = 0, sum_yy_ = 0;
};

} // namespace plimsoll
