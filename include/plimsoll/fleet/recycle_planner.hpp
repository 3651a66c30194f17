// Which worker of a pool is recycled now, if any: the one place that keeps the promises about capacity.
//
//   one at a time   while a recycle runs, or one of an earlier life of the program is being settled, every wish is `busy`
//   min_serving     who takes requests - 1 >= min_serving where this takes one of them away; serving >= min_serving else
//   max_per_hour    starts in the last 60 minutes < max_per_hour
//   halted          a successor did not become ready: no recycle until the pause is over; then one trial, and only where
//                   it costs nothing (successor first, or every place serves). The pause doubles with each failed trial:
//                       running --failed--> halted --pause over--> trial --ready--> running
//                                              ^---------failed------'
//
// Wishes are served by cause (hard limit, operator, leak, soft limit, futile shedding), then by pressure.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "plimsoll/core/time.hpp"
#include "plimsoll/fleet/worker_state.hpp"
#include "plimsoll/policy/gate.hpp"

namespace plimsoll {

enum class RecycleCause : std::uint8_t {
    hard_limit,
    operator_request,
    leak,
    soft_limit,
    futile_shedding
}; // most urgent first
std::string_view to_string(RecycleCause cause);

class RecyclePlanner {
public:
    struct Settings {
        std::optional<unsigned> min_serving; // unset: all but one
        unsigned max_per_hour = 60;
        Duration first_pause = std::chrono::seconds{10}, longest_pause = std::chrono::minutes{10};
        friend bool operator==(const Settings&, const Settings&) = default;
    };
    struct Place { // one worker as the planner sees it
        WorkerKey worker = 0;
        WorkerState state = WorkerState::starting;
        std::optional<RecycleCause> wish;
        double pressure = -1; // < 0: unknown
        // Not while it is set aside for a moment, or fails its checks: the gate gives it nothing, whatever its state.
        bool accepts = true;
    };
    struct Verdict {
        enum class Kind : std::uint8_t {
            go,
            busy,
            below_min_serving,
            hourly_limit,
            halted,
            not_serving
        } kind = Kind::go;
        std::string reason;     // one sentence for whoever asked; empty for go
        Duration retry_after{}; // when asking again makes sense
    };

    explicit RecyclePlanner(Settings settings);
    void configure(const Settings& settings);

    // May this worker be recycled now? `successor_first`: the source starts the successor before the drain.
    Verdict ask(Instant now, WorkerKey worker, std::span<const Place> places, bool successor_first) const;
    // The most urgent wish of all; nothing: there is none.
    static std::optional<WorkerKey> most_urgent(std::span<const Place> places);
    // The most urgent one that may be fulfilled now.
    std::optional<WorkerKey> next(Instant now, std::span<const Place> places, bool successor_first) const;

    void started(Instant now, WorkerKey worker);
    // ready: the successor answers. Otherwise the pool is halted, for `why`.
    void finished(Instant now, bool ready, const std::string& why = {});
    // It ended before anything was done to the worker (the worker died first, an operator's undrain): no judgement.
    void abandoned();
    // What an earlier life of the program had begun is being brought to its end.
    void settling(bool so) { settling_ = so; }
    // Capacity healed by itself (a later boot succeeded): recycling may go on.
    void heal();

    std::optional<WorkerKey> running() const { return running_; }
    const std::string& alert() const { return alert_; } // why recycling is halted; empty: it is not
    unsigned last_hour(Instant now) const;
    unsigned min_serving(std::size_t places) const;

private:
    Settings settings_;
    std::deque<Instant> starts_; // of the last hour, at most max_per_hour + 1
    std::optional<WorkerKey> running_;
    bool settling_ = false;
    std::string alert_;
    Instant trial_at_{};
    Duration pause_{};
};

} // namespace plimsoll
