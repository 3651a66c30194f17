// The agents' end of the control socket: accepts them, checks who they are, and carries one command at a time to each.
// Protocol: docs/agent-protocol.md. Control thread only.
//
//   dial -> hello -> welcome -> (sample | ready | command/result)* -> bye or hang-up
//               '--> refused (peer, version, pool, too many agents)
//
// Who may join is peer.hpp's: over a unix socket root, our own user and our descendants, everybody else by the token.
// An agent that breaks the protocol is hung up on, with one line in the log; one that is silent is not, since a worker
// may hold the GIL for minutes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>

#include "plimsoll/core/bytes.hpp"
#include "plimsoll/core/time.hpp"

namespace plimsoll::fleet {

struct Hello { // as in the protocol's table; unset: null or absent
    std::string pool, host, server, server_version, worker_class, address, python, agent;
    std::string release;   // of the application; empty: not known, or not before it is loaded
    std::string stacks;    // the file that its faulthandler writes to, by the worker's own file system; empty: none
    int stacks_signal = 0; // that has it written, where SIGABRT is for the application's own faulthandler; 0: SIGABRT
    std::optional<unsigned> index;
    int pid = 0, ppid = 0;
    std::uint64_t pid_namespace = 0, cgroup_namespace = 0; // 0: unknown
    int peer_pid = 0; // SO_PEERCRED of the connection, in our own namespace; 0 over TCP
    std::optional<unsigned> threads, age, max_requests; // threads 0: not bounded
    std::optional<double> keep_alive;                   // seconds; 0: one request a connection
    std::optional<double> started_at;                   // unix seconds
    std::optional<Bytes> memory_limit;
    bool ready = false;
    bool remote = false;    // put into a process that had been started without one: nothing of its server is hooked
    bool same_pids = false; // the agent's pid means the same process in our /proc
};

// A container's worker that dials a unix socket of ours is seen in our /proc under another number: the kernel tells it. 0: unseen.
inline int pid_here(const Hello& hello) { return hello.same_pids ? hello.pid : hello.peer_pid; }

struct Sample { // unset: unknown
    std::optional<Bytes> rss, anon, cgroup_usage, cgroup_working_set, cgroup_limit, malloc_in_use, malloc_free;
    std::optional<Bytes> peak; // the most that was resident since the sample before
    std::optional<std::int64_t> allocated_blocks, threads, fds, children;
    std::optional<std::int64_t> fds_limit; // descriptors that it may have; unset: any number, or an older agent
    Instant taken{};                       // when it arrived
};
struct Exited { // an arbiter's word about a worker that it reaped
    std::string pool;
    int pid = 0, status = 0; // status as of wait(2)
    std::string host;        // as in hello; empty, 0: an older agent does not say
    std::uint64_t pid_namespace = 0;
    bool boot_failed = false;
};
struct AgentFile {
    std::string name, content;
};
struct CommandResult {
    bool ok = false;
    std::string error; // where not ok: the agent's, or "deadline", "disconnected"
    boost::json::object data;
    std::vector<AgentFile> files;
};

// One connected agent. Shared: a holder may outlive the connection; commands then fail with "disconnected" at once.
class Agent {
public:
    virtual ~Agent() = default;
    virtual const Hello& hello() const = 0;
    virtual bool connected() const = 0;
    virtual void hang_up() = 0; // it comes again, and may be refused
    // Never throws for the peer's faults. Waits its turn behind a running command; the deadline counts from the call.
    // Over max_files_size the surplus is cut and the error says so, while ok stays what the agent said.
    virtual boost::asio::awaitable<CommandResult> command(std::string name, boost::json::object args,
                                                          Duration deadline) = 0;
};

class AgentServer {
public:
    struct Settings {
        std::vector<std::string> listen; // unix paths or "tcp:HOST:PORT"
        std::string token;               // required of TCP peers; empty: none is accepted over TCP
        Duration sample_interval = std::chrono::seconds{1};
        unsigned max_agents = 4096; // connections, those without a hello included
        Duration hello_timeout = std::chrono::seconds{5};
        Duration write_timeout = std::chrono::seconds{10}; // for one frame, until the agent has taken it
        Bytes max_files_size = {64 << 20};                 // of one command's evidence
        Duration look_interval = std::chrono::seconds{5};  // whether a socket's file is still there
    };
    struct Events { // called on the control thread; may start coroutines, must not block
        // The pool a hello belongs to, or the reason why it is refused. Called before `connected`.
        std::function<std::string(const Hello&, std::string& refusal)> admit;
        std::function<void(std::shared_ptr<Agent>)> connected;
        std::function<void(Agent&)> ready; // once at most: right after connected if the hello said so, else later
        std::function<void(Agent&, const Sample&)> sample;
        std::function<void(Agent&, bool said_bye)> disconnected; // its commands have failed already
        std::function<void(const Exited&)> exited;
    };
    struct Stats {
        unsigned connected = 0;                  // now
        std::uint64_t accepted = 0, refused = 0; // agents, since the start
        std::uint64_t over_capacity = 0;         // connections beyond max_agents
        std::uint64_t faults = 0, too_slow = 0;  // hung up on: broke the protocol, did not read
    };
    AgentServer(boost::asio::io_context& control, Settings settings, Events events);
    ~AgentServer();
    std::string start();                        // empty, or the one line that says what is wrong and how to mend it
    std::vector<std::string> addresses() const; // as bound, as PLIMSOLL_CONTROL takes them
    Stats stats() const;
    void stop(); // hangs up on all; no event comes any more; unlinks its files

private:
    struct Impl;
    std::shared_ptr<Impl> impl_; // its connections hold it too, until they have ended
};

} // namespace plimsoll::fleet
