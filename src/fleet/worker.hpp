// A place in a pool, and the processes that live in it one after the other.
//
//   Worker app-1 -- current --> Generation 3 (draining)
//               '-- next -----> Generation 4 (serving)      while a recycle has started the successor first
//
// The id belongs to the place and is the same over generations; everything that can differ from one process to the next
// belongs to the generation. Plain data of the control thread; pool.hpp moves it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fleet/agent_server.hpp"
#include "fleet/process.hpp"
#include "fleet/view.hpp"
#include "net/pool.hpp"
#include "plimsoll/fleet/reading_pace.hpp"
#include "plimsoll/fleet/recycle_planner.hpp"
#include "plimsoll/fleet/relief.hpp"
#include "plimsoll/fleet/worker_state.hpp"
#include "sense/memory.hpp"

namespace plimsoll::fleet {

struct LeakLife;   // what the detector knows of one generation: leak_watch.hpp
struct HealthLife; // what its health checks say: health_watch.hpp

// What is known of a generation's memory. A part that cannot be had is unset; one that is too old is unknown.
struct MemoryReading {
    std::optional<Bytes> anon, rss; // the fast reading
    Instant taken{};
    WallTime taken_at{};
    std::string source = "none";         // proc, agent
    std::optional<sense::Rollup> rollup; // the slow one
    std::optional<sense::Cgroup> cgroup;
    bool looked_at = false;                                  // the slow reading was tried
    std::optional<Bytes> limit;                              // of this worker
    std::optional<Bytes> address_space, address_space_limit; // where it runs under RLIMIT_AS (`ulimit -v`)
    std::optional<Bytes> floor; // the least seen since it serves: what a recycle can win back
    LowWater low_water;
    PressureGrowth growth;

    std::optional<Bytes> used(Instant now, Duration stale_after) const; // anon, else rss; nothing when stale
    std::optional<double> pressure(Instant now, Duration stale_after) const;
};

// What else a process may run out of, as the kernel tells it. Unset: unknown, or not ours to see.
struct OpenReading {
    sense::Opened opened;
    Instant taken{};
};

// What keeps a generation from serving, as the last question that was put to it has it.
struct NotReady {
    std::string why; // empty: nothing does, or nobody has asked yet
    Instant since{}; // the first question in a row that was not answered as it must be
    Instant tell_at{};
    Duration pause{};
};

// An agent that was put into a process that had none: remote_agent.hpp.
struct RemoteAttempt {
    int pid = 0; // of the process that was chosen; 0: none yet
    unsigned tries = 0;
    bool running = false;
    bool sent = false;   // the process was told: it runs the script when it runs Python again
    std::string why_not; // of the last one
};

struct Generation {
    unsigned number = 1;
    WorkerState state = WorkerState::starting;
    Instant since{}, born{}, serving_since{}; // of the state, of the process, of its service
    WallTime started_at{};
    std::optional<net::Address> address; // unset: not addressable
    std::string advice;                  // then: the one line that would fix it
    net::Protocol protocol = net::Protocol::http;
    WorkerKey key = 0;                            // in net::Pool; 0: not in service
    unsigned slots = 0, told_slots = 0;           // told: by its server; 0: it did not say
    std::uint64_t served = 0;                     // requests, kept when the key is gone
    std::optional<std::uint64_t> server_requests; // by its server's own count, ours among them; unset: it does not say
    int pid = 0;                                  // in our own /proc; 0: not visible
    std::shared_ptr<Process> process;             // whom signals go to; null: not visible
    std::shared_ptr<Child> child;                 // where we started it
    std::shared_ptr<Agent> agent;                 // the last one; it may have hung up
    std::optional<Sample> sample;                 // the agent's last word on memory
    bool ready = false;                           // the agent says: the application is loaded
    // It takes no more connections; until somebody answers at its address again (deaths.cpp).
    bool said_bye = false;
    bool met_late = false;     // it had served before we could tell how much
    bool aside = false;        // for a moment, while its heap is trimmed
    bool looked_after = false; // by judge_silence
    bool boot_failed = false;
    std::string stacks;                         // of all threads, where a sibling had them written before the end
    std::vector<std::weak_ptr<Agent>> siblings; // agents of other processes behind its address, oldest first
    bool ending = false;                        // we are ending it: its end is no death
    std::optional<Exit> exit;
    MemoryReading memory;
    OpenReading open;
    std::shared_ptr<LeakLife> leak;     // null until it serves
    std::shared_ptr<HealthLife> health; // null until it serves, and where it has no address
    RemoteAttempt remote;
    NotReady not_ready;

    bool gone() const { return state == WorkerState::gone || state == WorkerState::failed; }
    bool agent_connected() const { return agent && agent->connected(); }
    // Its agent came with its server: it speaks for the whole of the worker, and for the server that it hooks.
    bool agent_of_server() const { return agent && !agent->hello().remote; }
    std::string release() const { return agent ? agent->hello().release : std::string{}; } // empty: not known
    int agent_pid() const { return agent ? agent->hello().pid : 0; } // in the agent's own namespace
    std::string name_of_process() const;                             // "pid 4711", "pid 12 on web-1", "127.0.0.1:8001"
};

struct Worker {
    WorkerKey place = 0; // names the place towards the planner
    unsigned number = 1; // the n of "app-n"
    std::string id;
    std::shared_ptr<Generation> current, next; // current: null before the first has come
    unsigned generations = 0;                  // so far
    unsigned boot_failures = 0;                // generations in a row that died before they served
    bool held = false;                         // an operator drained it: stays so over generations
    std::optional<RecycleCause> wish;
    std::string why;                          // the wish in words
    std::optional<RecycleCause> last_cause;   // of the last recycle for a limit, a leak or an operator
    std::optional<RecycleCause> not_improved; // its cause is still there: no second recycle for it
    Relief::Past relief;                      // recycles for futile shedding
    std::string alert;                        // what an operator must know of it
    std::string trouble;                      // why nobody serves here: a part of the pool's alert
    std::uint64_t served_before_it = 0;       // by the pool, when the trouble came
    bool in_capture = false;                  // on an operator's request
    bool in_recycle = false;                  // the recycler decides what follows its generation

    bool empty() const { return !current || current->gone(); }
    bool serves() const;  // any generation of it is in a state to take requests
    bool accepts() const; // and is given some: it is not set aside, and its checks do not fail
    // The generation that stands for the place: the successor as soon as the old one is gone. May be null.
    const std::shared_ptr<Generation>& face() const { return current && current->gone() && next ? next : current; }
    WorkerState state() const { return face() ? face()->state : WorkerState::starting; }
};

// Where a process lives, as far as memory goes: its cgroup's directory, or its agent's host where only the agent sees it. What a
// limit allows is shared by all who live there or below (plimsoll/fleet/sharers.hpp).
std::string memory_domain(const Generation& generation);
inline constexpr const char* this_host = ""; // the domain of all processes that we see in /proc

WorkerView view_of(const Worker& worker, const std::string& pool, const net::Pool& net, Instant now,
                   Duration stale_after);

} // namespace plimsoll::fleet
