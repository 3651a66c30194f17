// Which route leaks shows soonest where workers are asked for different things. While a worker is suspect and the answer is
// not sure, the proxy varies on purpose which labels go to which workers. For an epoch some workers are *home* to a half of
// those labels that may leak, drawn by lot; everything else goes *away*, to the other workers. Only among workers that are
// free and alike: it is a wish (policy/picker.hpp), so the mix shifts and nobody waits for it. The next epoch draws other
// labels and other workers, so that no two labels stay together and no worker gets more than its share of the leak.
//
// As the attribution learns who cannot be it, fewer labels are open, and fewer workers are home to them: so that they nearly
// always find one of these free.
//
//   resting --suspicion, two workers--> running --the answer is sure---> answered
//      ^                                   |------budget is used up----> spent
//      |                                   |------p99 has risen by 5 %-> slower
//      |                                   '------no suspicion, or off-> over
//      '--- after `rest` for spent and slower; at once for the others, should the answer become unsure again
//
// One epoch of six varies nothing: what the experiment does to the pool's p99 is measured against it
// (core/tail_comparison.hpp), and not against an hour of the day that was different anyway.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "plimsoll/core/time.hpp"
#include "plimsoll/leak/attribution.hpp"

namespace plimsoll::leak {

class Experiment {
public:
    struct Settings {
        bool on = true;
        std::uint64_t budget = 100'000; // requests of the pool
        double slower = 0.05;           // rise of the pool's p99 that ends it
        Duration rest = std::chrono::hours{1};
    };
    enum class End : std::uint8_t { none, answered, spent, slower, over };
    struct Sight {
        bool suspected = false;
        bool ready = true, sure = false; // the attribution has been asked at all; is sure
        unsigned workers = 0;            // that accept requests
        std::uint64_t requests = 0;      // of the pool, ever
        std::uint64_t intervals = 0;     // of the attribution, ever
        bool p99_risen = false;          // by more than `slower`, within this experiment
    };
    // Of each worker: long enough for the mix to stand out from what happens to be asked, and for readings to show it.
    static constexpr unsigned epoch_requests = 600, epoch_intervals = 3;
    static constexpr unsigned control_every = 6; // epochs

    enum class Change : std::uint8_t { none, began, turned, ended };
    Change look(Instant now, const Settings& settings, const Sight& sight, std::uint64_t chance);

    bool running() const { return running_; }
    // By which lots are drawn for this epoch; 0: nothing is varied, because none runs or for comparison.
    std::uint64_t salt() const { return salt_; }
    End ended() const { return ended_; } // the last one; none: it runs, or there never was one
    unsigned epochs() const { return epochs_; }
    std::uint64_t requests() const { return requests_ - began_requests_; } // of this or the last one
    Instant began() const { return began_; }

private:
    void turn(const Sight& sight, std::uint64_t chance);
    Change end(Instant now, End how);

    bool running_ = false;
    End ended_ = End::none;
    std::uint64_t salt_ = 0;
    unsigned epochs_ = 0;
    std::uint64_t began_requests_ = 0, requests_ = 0, turned_requests_ = 0, turned_intervals_ = 0;
    Instant began_{}, finished_{};
};

std::string_view to_string(Experiment::End end);

// The lots of an epoch. `open`: who may leak, the likeliest first; empty: any may.
struct Lots {
    std::vector<bool> home;         // by label; those without a label are at 0
    std::vector<std::size_t> homes; // workers, by number
};
Lots draw_lots(std::uint64_t salt, std::size_t labels, std::span<const Candidate> open, std::size_t workers);

} // namespace plimsoll::leak
