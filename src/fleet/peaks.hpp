// How much memory requests need at their peak, seen from outside: how far a worker rose above its rest while they ran.
//
//   once          before the first request: what its rise is measured from
//   every 25 ms   of workers of which it would tell something (Gate::worth_reading), a few in turn:
//                 VmHWM and VmRSS from /proc/PID/status, and 5 into clear_refs, from where VmHWM begins anew
//                 What is the rise, and what stayed: resting_memory.hpp
//   every 250 ms  of workers in which nothing runs: whether they moved all the same. A thread of the application's own did that,
//                 and no request is to blame. More often after a rise (idle_looks.hpp), four workers at most, in turn
//   every 25 ms   of workers in which something runs that is not known yet: what they hold by now
//   where clear_refs is not ours to write: VmHWM is replaced by the highest of what statm shows every 25 ms
//   where the process is out of sight: by the agent's word, once a sample
//   every 100 ms while somebody waits for memory, else every memory.interval: use and limit of what workers share (their
//                 cgroup, the host), which is one number each for the whole pool
//
// Control thread only. A reading costs 0.25 ms, so at most four are taken at a time: 4 % of the thread while it learns, less for
// four looks at idle workers, and next to nothing afterwards.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include <boost/asio/awaitable.hpp>

#include "fleet/worker.hpp"
#include "plimsoll/fleet/domain_keys.hpp"
#include "plimsoll/fleet/idle_looks.hpp"
#include "sense/memory.hpp"

namespace plimsoll::fleet {

class Pool;

class Peaks {
public:
    explicit Peaks(Pool& pool);
    void start();
    void joined(const Generation& generation); // and takes no request yet: what it holds now is what it holds at rest
    MemorySight sight_of(const Generation& generation, Instant now); // for the gate
    void take(const Generation& generation, const Sample& sample);   // an agent's, of a process out of sight

private:
    struct Watch { // of one worker
        IdleLooks looks;
        Bytes highest;        // since the last reading, where it is sampled
        bool sampled = false; // clear_refs is not ours to write
        bool alive = true;    // in this round
    };
    using Watched = std::vector<std::pair<const Generation*, Watch*>>;
    struct Shared {
        DomainKey key = 0;
        std::optional<sense::Cgroup> cgroup; // else the host, or what an agent tells
        std::optional<Bytes> use, limit;     // by an agent's word
        Instant told{};
        bool host = false, known = false; // known: was read
    };

    static boost::asio::awaitable<void> watch(std::shared_ptr<Pool> pool);
    void look(Instant now);
    bool moved_by_itself(const Generation& generation, Watch& watch, Instant now);
    void read(const Generation& generation, Watch& watch, Instant now);
    void read_shared(Instant now);
    void read(Shared& domain, Instant now);
    Shared* shared(const std::string& domain, Instant now); // null: they are too many
    void forget_domains(Instant now);

    Pool& pool_;
    sense::Reader reader_;
    std::unordered_map<WorkerKey, Watch> watches_;
    DomainKeys domains_;
    std::map<std::string, Shared> shared_; // by domain
    std::size_t turn_ = 0, idle_turn_ = 0;
    std::string shared_turn_;
    bool too_many_ = false; // it was said
    Instant shared_read_{};
};

} // namespace plimsoll::fleet
