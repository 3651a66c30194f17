// Watches one process from its first request to its end, and says what its memory does.
//
//   readings --> block minima --> Theil-Sen over the last two thirds --> classify --> persistence --> verdict
//
// The x-axis is requests served, not time: a leak is bytes a *request*, and a quiet night is no recovery. A class that
// accuses (leaking) must have been the answer for most of the ages since age / 1.2 before it is said, so that one odd
// stretch accuses nobody; it is taken back when it no longer is for most of them. Whom an experiment sends requests by lot is
// not acquitted by growth that fades, until he is six times as old as when that began (once in a life): by then chance has dealt
// evenly.
//
// What begins late in a long life is seen by LateOnset (late_onset.hpp), while the life as a whole is not called leaking.
//
// The same object watches descriptors, threads and children: only the limit and the least growth differ.
#pragma once

#include <deque>
#include <optional>

#include "plimsoll/leak/block_minima.hpp"
#include "plimsoll/leak/classify.hpp"
#include "plimsoll/leak/forecast.hpp"
#include "plimsoll/leak/history.hpp"
#include "plimsoll/leak/late_onset.hpp"

namespace plimsoll::leak {

struct Reading {
    double requests = 0;                                 // served by this process so far
    double seconds = 0;                                  // its age, on any clock
    double used = 0;                                     // anonymous bytes; descriptors; threads
    std::optional<double> live = {}, private_pages = {}; // bytes; where known
    bool steered = false; // an experiment sends it requests by lot: what it is asked is not what it was asked before
};

struct Verdict {
    Class kind = Class::unknown;
    double slope = 0, low = 0, high = 0; // bytes a request
    double confidence = 0;
    bool slow = false;
    double since = 0;                 // age at which the class was first said
    std::optional<Forecast> forecast; // of its swings, too (plimsoll/leak/swing.hpp)
};

class Detector {
public:
    enum class Looks : std::uint8_t { at_a_life, at_a_stretch }; // a stretch of a life has none of its own
    explicit Detector(std::uint64_t life = 0, Thresholds thresholds = {}, Looks looks = Looks::at_a_life);

    void observe(const Reading& reading);
    // Cheap where nothing has changed: the lines are drawn anew only when the age grew by a thirty-second, or a quarter of the
    // requests that were left has been served. The forecast goes with each request and with the rate, whatever was drawn.
    const Verdict& judge(double limit, double requests_a_second, const History& history);
    const Verdict& verdict() const { return told_; }
    void set_release(const std::string& release) { curve_.release = release; } // of the application
    const AgeCurve& curve() const { return curve_; }                           // for the history of those that follow
    void end() { curve_.ended = true; }
    double age() const { return age_; }
    const std::vector<Point>& marks() const { return used_.points(); } // low-water marks by requests served
    double floor() const;                                              // the lowest low-water mark
    double level() const { return level_; }                            // the trend's end, as the last look had it
    double pace() const; // requests a second, lately: in the last quarter of the marks
    LateOnset::Life so_far() const;

private:
    struct Answer {
        double age;
        bool accuses;
    };
    const Verdict& judge_life(double limit, double requests_a_second, const History& history);
    bool is_late() const;              // a leak that begins now would be
    std::vector<double> paces() const; // requests a second, of each quarter of the marks
    std::optional<Evidence> evidence() const;
    double accusing_share() const;
    bool worth_a_look() const;
    void forecast_anew(double limit, double requests_a_second); // from the last lines

    Thresholds thresholds_;
    double next_look_;                          // growth of the age between two looks
    BlockMinima used_, live_, private_, clock_; // clock_: when which request was served
    AgeCurve curve_;
    Verdict verdict_, told_; // of the life as a whole; and what is said
    std::optional<LateOnset> late_;
    std::deque<Answer> answers_; // since age / 1.2
    double age_ = 0, judged_at_ = 0, lasting_ = 0;
    std::optional<double> steered_from_; // age at which lots were drawn first while it was called leaking
    double steered_at_ = 0;              // and last, in any case
    // As the last look had them: the trend, its end, what swings above it, and the requests to the limit.
    Line trend_;
    double level_ = 0, swing_ = 0, early_at_look_ = 0;
    double highest_ = 0;      // of the low-water marks, before they are merged
    double highest_used_ = 0; // of all readings
};

} // namespace plimsoll::leak
