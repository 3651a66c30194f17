// Asks the workers that serve how they are: `[pool.health] interval`. What the answers mean is the policy's
// (plimsoll/policy/health.hpp), who is out of service for them the gate's.
//
//   every interval --a slot is free--> probe --> passed, refused or unanswered --> Health --> net::Pool::set_ailing
//                  '--none is--------> skipped; where it answered requests since: served
//
// A check holds a slot of the worker like a request does: a worker with one slot is never asked while it works, and is given
// no request while it is asked. One that is unanswered at its timeout is judged then, but where slots are known the worker is
// busy with it still: as with a request that nobody waits for any more (Session::leave_behind), slot and connection are kept
// until the worker says a word or hangs up, at most another `response_timeout`. Else the next request would lie in its backlog.
// Until then no other check begins, but its silence is judged again whenever another one would have been unanswered too, where
// no request was answered well meanwhile.
// Each worker is asked on its own, the first time after a part of the interval, so that they are not asked together. Control
// thread only.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "fleet/pool.hpp"
#include "fleet/probe.hpp"
#include "plimsoll/policy/health.hpp"

namespace plimsoll::fleet {

// Of one generation.
struct HealthLife {
    explicit HealthLife(boost::asio::io_context& control) : next(control) {}

    Health health;
    bool watched = false, asking = false;     // a loop asks it; it is being asked
    std::shared_ptr<ProbeConnection> unheard; // of a check that was judged unanswered and keeps its slot; else null
    std::uint64_t successes = 0;              // requests that it had answered well when it was looked at last
    unsigned settings_number = 0;             // counts their changes
    std::string last;                         // the last answer in words; empty: none yet
    WallTime last_at{};
    boost::asio::steady_timer next; // cancelled when the settings change
};

class HealthWatch {
public:
    explicit HealthWatch(Pool& pool) : pool_(pool) {}
    void watch(const WorkerPtr& worker, const GenerationPtr& generation); // it was put in service
    void configure();                                                     // the pool's settings have changed
    void describe(PoolView& view) const;

    static std::optional<HealthView> view_of(const Generation& generation); // nothing: it was never asked
    static bool ailing(const Generation& generation);                       // its last checks failed
    static bool is_asked(const Generation& generation);                     // now: one of its slots is the check's
    static bool holds_unheard(const Generation& generation);                // one is still a check's that was given up
    // Nobody else is served by it any more: it need not be waited for.
    static void let_go(const Generation& generation);

private:
    static boost::asio::awaitable<void> ask_again_and_again(std::shared_ptr<Pool> pool, WorkerPtr worker,
                                                            GenerationPtr generation);
    static boost::asio::awaitable<void> look(std::shared_ptr<Pool> pool, WorkerPtr worker, GenerationPtr generation);
    static boost::asio::awaitable<void> outlast(std::shared_ptr<Pool> pool, WorkerPtr worker, GenerationPtr generation,
                                                ProbeResult silence);
    bool on() const;
    void judge(const Worker& worker, Generation& generation, const ProbeResult& result);
    void learn(const Worker& worker, Generation& generation, Health::Seen seen);

    Pool& pool_;
    std::uint64_t passed_ = 0, failed_ = 0, skipped_ = 0;
};

// What a worker is asked, and whether the answer is the one that is expected.
Question question_of(const config::Health& settings);
bool as_expected(const config::Health& settings, const ProbeResult& result);
// "answered 503, and 200-299 is expected", "no answer in 2 s"
std::string why_not_well(const config::Health& settings, const ProbeResult& result);

} // namespace plimsoll::fleet
