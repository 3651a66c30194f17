// Tells of workers that died: of each an incident of its own, and of those that follow one another (plimsoll/fleet/death_loop.hpp)
// one for all of them, with an alert while it lasts. Control thread only.
//
//   died --its cause is known, or 1.5 s--> it never served:      the place's trouble; from the second time on nothing more
//                                          it left on purpose:   a line in the log
//                                          else                  an incident, or a line in that of the loop
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "fleet/death.hpp"
#include "fleet/journal.hpp"
#include "fleet/pool.hpp"
#include "plimsoll/fleet/death_loop.hpp"

namespace plimsoll::fleet {

class DeathWatch {
public:
    explicit DeathWatch(Pool& pool) : pool_(pool) {}
    // lost: requests that were in flight on it.
    void tell(const WorkerPtr& worker, const GenerationPtr& generation, unsigned lost);
    std::uint64_t count() const { return count_; }
    const std::string& alert() const { return alert_; } // empty: none

private:
    static boost::asio::awaitable<void> tell_when_known(std::shared_ptr<Pool> pool, DeathWatch* self, WorkerPtr worker,
                                                        GenerationPtr generation, unsigned lost);
    boost::asio::awaitable<void> tell_one(std::shared_ptr<Pool> pool, WorkerPtr worker, GenerationPtr generation,
                                          Death death, std::string stacks);
    boost::asio::awaitable<void> tell_loop(std::shared_ptr<Pool> pool, GenerationPtr generation, Death death,
                                           std::string stacks);
    static boost::asio::awaitable<void> await_end_of_loop(std::shared_ptr<Pool> pool, DeathWatch* self);
    void tell_trouble(const WorkerPtr& worker, const Generation& generation);

    Pool& pool_;
    DeathLoop loop_;
    std::shared_ptr<Incident> incident_; // of the loop; null while they are apart
    bool has_stacks_ = false;            // that incident
    std::string alert_;
    std::uint64_t count_ = 0;
};

} // namespace plimsoll::fleet
