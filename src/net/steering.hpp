// An experiment's side of the data path: where each request is wanted (plimsoll/leak/experiment.hpp), and what that does to
// the times that clients see.
//
// Before a request has been served only its path is known, afterwards its label is (route_counts.hpp). So while an experiment
// runs, label by path is learned: by the path's template, and for templates without end (slugs) by what its first segment and
// its depth meant last.
//
// None runs: one relaxed load a request.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "plimsoll/core/tail_comparison.hpp"
#include "plimsoll/policy/priority.hpp"

namespace plimsoll::net {

class Steering {
public:
    enum class Phase : std::uint8_t { none, control, varied }; // none: no experiment runs

    // Reactors.
    Phase phase() const { return phase_.load(std::memory_order_relaxed); }
    Side side_of(std::string_view method, std::string_view path) const; // while varied
    void learn(std::string_view method, std::string_view path, std::size_t label);
    void record(Phase phase, Duration took); // a request from its head to its answer's end; the phase is its arrival's

    // The fleet.
    void begin();
    void vary(std::vector<bool> home); // by label
    void control();
    void pause(); // varies nothing and measures nothing, until it is told again what to do
    void end();
    struct Stats {
        std::uint64_t varied = 0, control = 0; // requests
        Duration varied_p99{}, control_p99{};
        bool risen = false;
    };
    Stats stats(double by) const;

private:
    static constexpr std::size_t most_paths = 8192; // then it learns anew

    std::atomic<Phase> phase_ = Phase::none;
    mutable std::mutex mutex_; // guards all below
    std::vector<bool> home_;
    std::unordered_map<std::uint64_t, std::size_t> labels_; // by hash of the template, or of its beginning
    TailComparison times_;
};

} // namespace plimsoll::net
