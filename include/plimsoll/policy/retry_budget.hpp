// How many retries may be under way at once: a share of the requests under way, and never less than a few.
//
//   allowed = max(minimum, share * requests in flight)
//
// Without it, retries multiply the load at the very moment when workers fail. A bound on what is in flight, not on a
// rate: it needs no clock, and a slow failure counts for as long as it lasts.
#pragma once

namespace plimsoll {

class RetryBudget {
public:
    struct Settings {
        double share = 0.2;
        unsigned minimum = 3;
    };
    RetryBudget() = default;
    explicit RetryBudget(Settings settings) : settings_(settings) {}

    void request_began() { ++requests_; }
    void request_ended(); // without a beginning: ignored
    bool take();          // true: retry, and give() back when that attempt has ended
    void give();
    unsigned retries() const { return retries_; }
    unsigned requests() const { return requests_; }

private:
    Settings settings_;
    unsigned requests_ = 0, retries_ = 0;
};

} // namespace plimsoll
