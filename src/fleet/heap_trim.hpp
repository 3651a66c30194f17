// What is done about a fragmented heap: malloc_trim, by the agent, in the worker that has the holes.
//
//   class fragmentation --> another one serves instead? --yes--> no new requests, none in flight --> trim --> requests again
//                                                     '--no---> trim as it serves
//
// It collects garbage and walks the heap, a fraction of a second for a gibibyte: so one worker of a pool at a time, again only
// when as much has grown anew, and never again in a process where it gave little back. Those are holes in Python's own
// arenas, which only the end of the process gives back: then the forecast decides, as for a leak.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fleet/journal.hpp"
#include "fleet/pool.hpp"

namespace plimsoll::fleet {

class HeapTrim {
public:
    static constexpr Duration rest = std::chrono::minutes{5}; // between two of one process
    static constexpr double worthwhile = 0.2;                 // of what has grown, to come back

    // Of a worker whose memory is called fragmented, and was `grown` bytes less when it was young. `act`: trim; else advise.
    void look(Pool& pool, const std::string& worker, const GenerationPtr& generation, double grown, bool act,
              Instant now);
    bool in_vain(const LeakLife& life) const;                                          // it gave little back here
    std::vector<std::string> incidents(const std::vector<std::string>& workers) const; // what was done to them, or said
    std::uint64_t count() const { return state_->count; }
    Bytes given_back() const { return state_->given_back; }

private:
    struct State {
        bool running = false;
        std::uint64_t count = 0;
        Bytes given_back;
        struct Life { // the last ones
            std::string name, worker;
            std::shared_ptr<Incident> incident; // the worker's, whatever generation; null: nothing was done or said yet
            Instant not_before{};
            Bytes left{}; // what it used after the last trim
            bool in_vain = false;
        };
        std::vector<Life> lives;
    };
    static constexpr std::size_t most_lives = 64;
    std::shared_ptr<Incident> incident_of(const std::string& worker) const; // null: none yet
    static boost::asio::awaitable<void> run(std::shared_ptr<Pool> pool, WorkerPtr worker, GenerationPtr generation,
                                            std::shared_ptr<State> state, std::string life,
                                            std::shared_ptr<Incident> story, double grown);
    std::shared_ptr<State> state_ = std::make_shared<State>(); // outlives us while one is under way
};

} // namespace plimsoll::fleet
