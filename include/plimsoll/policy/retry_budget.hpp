// How many requests may be sent a second time: a share of all requests, saved up to a bound, and never less than a few at
// once.
//
//   each request saves `share`, up to `most_saved`; a retry spends 1; with nothing saved, `minimum` may be under way
//
// Without it, retries multiply the load at the very moment when workers fail. The share is of the requests so far and not
// of those in flight: a worker that dies may hold half of what is in flight, and each of these requests deserves its second
// chance, while a fleet that goes on failing has spent its savings in a moment. It needs no clock.
#pragma once

#include <algorithm>

namespace plimsoll {

class RetryBudget {
public:
    struct Settings {
        double share = 0.2;
        double most_saved = 100;
        unsigned minimum = 3;
        friend bool operator==(const Settings&, const Settings&) = default;
    };
    RetryBudget() = default;
    explicit RetryBudget(Settings settings) : settings_(settings) {}

    void configure(const Settings& settings); // who retries goes on; what is saved is bounded anew

    void request_began() { saved_ = std::min(settings_.most_saved, saved_ + settings_.share); }
    bool take();                  // true: retry, and give() back when that request has ended
    void exceed() { ++retries_; } // retry all the same
    void give();                  // without one of these: ignored
    unsigned retries() const { return retries_; }

private:
    Settings settings_;
    double saved_ = 0;
    unsigned retries_ = 0; // under way
};

} // namespace plimsoll
