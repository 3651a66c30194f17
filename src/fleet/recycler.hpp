// When a worker of a pool is recycled, and what is told of it. The planner (plimsoll/fleet/recycle_planner.hpp) keeps the
// promises about capacity; one Recycle (recycle.hpp) at a time does the work.
//
//   reading >= hard_limit --wish-.
//   reading >= soft_limit --wish-+--> planner --> Recycle
//   forecast of a leak ----wish-|
//   futile shedding -------wish-'
//   an operator --now, or refused'
//
// A worker whose successor is over the same limit again, though it has hardly served, is not recycled a second time for it:
// that is a new incident and an alert, since another recycle would change as little.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "fleet/marker.hpp"
#include "fleet/pool.hpp"

namespace plimsoll::fleet {

class Recycle;

class Recycler {
public:
    explicit Recycler(Pool& pool);
    ~Recycler();
    void configure();
    void resume();          // a recycle that an earlier life of the program left behind
    void tick(Instant now); // after each round of readings
    ActionResult request(const WorkerPtr& worker, const std::string& why);
    bool recycles(const Worker& worker) const;
    bool running() const { return planner_.running().has_value(); }
    void healed(); // a worker has become ready without our doing
    const std::string& alert() const;
    const std::string& no_relief() const { return no_relief_; } // the least urgent of alerts
    std::string waits_long() const; // why a wish has not been fulfilled for a minute; empty: none waits so long
    void describe(PoolView& view) const;

    // What the running Recycle came to.
    enum class End : std::uint8_t { done, no_successor, stuck, abandoned };
    void finished(const WorkerPtr& worker, RecycleCause cause, End end, const std::string& why);
    std::optional<Duration> longest() const; // of the last recycles that came to their end; nothing: there was none yet
    void captured(bool whole);
    bool urgent() const; // some worker is over its hard limit: no time for a trace
    // Where no successor can come first. Empty: capacity allows it.
    std::string why_not_drain_first(const Worker& worker) const;
    void must_drain_first(); // its server just could not begin a successor first
    Marker& marker() { return marker_; }

private:
    std::vector<RecyclePlanner::Place> places() const;
    bool successor_first() const;
    void judge(const WorkerPtr& worker, Instant now);
    void judge_leak(const WorkerPtr& worker, Instant now);
    void relieve(Instant now);
    void not_improved(const WorkerPtr& worker, RecycleCause cause, const std::string& numbers);
    std::shared_ptr<Incident> begin(const WorkerPtr& worker, RecycleCause cause, const std::string& why);
    void tell_why_it_waits(Instant now);
    static boost::asio::awaitable<void> settle(std::shared_ptr<Pool> pool, LeftOver left,
                                               std::shared_ptr<Incident> incident);

    Pool& pool_;
    RecyclePlanner planner_;
    Marker marker_;
    std::shared_ptr<Recycle> running_;
    std::string waits_; // why the most urgent wish waits, as last logged; empty: none does
    Instant waits_since_;
    std::string no_relief_; // shedding did not lower the memory, and no recycle would; empty: not so
    std::string no_relief_told_;
    std::optional<Instant> relief_ended_, drain_first_until_;
    Instant began_;                // the running one
    std::deque<Duration> lengths_; // of the last few that were done
    std::uint64_t recycles_ok_ = 0, recycles_failed_ = 0, captures_ok_ = 0, captures_failed_ = 0;
};

} // namespace plimsoll::fleet
