// Keeps the memory readings of a pool's workers fresh.
//
//   every memory.interval   /proc/PID/statm of every visible process, on the control thread (17 us each); sooner where
//                           one of them is about to run out (plimsoll/fleet/reading_pace.hpp)
//   as it comes             the agent's sample, where the process is not visible
//   every memory.interval   memory.pressure of the host and of the cgroups (stall.hpp), where the kernel tells
//   every 15 s or so smaps_rollup and cgroup, on the thread pool (20 ms per GiB, and it holds the process's mmap lock)
//
// and tells net::Pool the pressure of each: anon / limit, or unknown when the reading is too old. The limit of a worker is
// memory.limit, else its share of the tightest of its cgroup's limit and the host's memory. Under RLIMIT_AS an allocation
// fails when the address space is used up, however little of it is resident: there the worse of the two pressures counts.
#pragma once

#include <memory>
#include <optional>

#include <boost/asio/awaitable.hpp>

#include "fleet/worker.hpp"
#include "sense/memory.hpp"

namespace plimsoll::fleet {

class Pool;

class Monitor {
public:
    explicit Monitor(Pool& pool);
    void start();
    void take(Generation& generation, const Sample& sample);
    // The fast reading at once: before it gets its first request, the gate knows what room it has.
    void look(Generation& generation);
    // The slow reading at once: on suspicion, and for the numbers of an incident.
    boost::asio::awaitable<void> look_closely(std::shared_ptr<Generation> generation);
    // Out-of-memory kills by now in the cgroup of one that died. Its siblings there start counting anew.
    boost::asio::awaitable<std::optional<std::uint64_t>> oom_kills_now(std::optional<sense::Cgroup> cgroup);

private:
    static boost::asio::awaitable<void> poll(std::shared_ptr<Pool> pool);
    static boost::asio::awaitable<void> poll_slowly(std::shared_ptr<Pool> pool);
    void read(Generation& generation, Instant now);
    void look_for_stalls();
    void judge(Generation& generation, Instant now);
    std::optional<Bytes> limit_of(const Generation& generation) const;

    Pool& pool_;
    std::shared_ptr<const sense::Reader> reader_; // shared: a slow reading may outlive us
    std::optional<sense::Host> host_;
};

} // namespace plimsoll::fleet
