// Processes: starting them, watching them, ending them. A signal goes through a pidfd that was checked against parent
// and start time, never to a bare pid that may have been reused. Control thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "plimsoll/core/bytes.hpp"
#include "plimsoll/core/time.hpp"

namespace plimsoll::fleet {

struct Exit {                        // how a process ended
    std::optional<int> code, signal; // neither: not our child, unknown
    std::string text() const;        // "exit code 3", "signal 9 (SIGKILL)", "ended, cause unknown"
};

// Somebody's process, held by pidfd: it can be signalled and awaited even when it is not our child.
class Process {
public:
    // Nothing where there is no such process, it is a zombie, or its parent is not `parent` (where given).
    static std::shared_ptr<Process> attach(boost::asio::io_context& control, int pid, std::optional<int> parent,
                                           std::string& why_not);
    virtual ~Process() = default;
    virtual int pid() const = 0;
    virtual bool running() const = 0;
    virtual std::uint64_t start_time() const = 0; // clock ticks since boot, /proc/PID/stat field 22
    virtual bool send(int signal, std::string& why_not) = 0;
    virtual boost::asio::awaitable<bool> ended(Duration bound) = 0; // true: it has ended; several may wait
    virtual std::optional<Exit> exit() const = 0;                   // after it has ended
};

std::chrono::system_clock::time_point started_at(const Process& process);

struct Command {
    std::vector<std::string> argv;
    std::string directory = ".";
    std::vector<std::pair<std::string, std::string>> environment; // added to ours
    std::string log_name; // its output's lines are logged as event "output" with this name; empty: ours is inherited
    bool capture_output = false; // kept, not logged: for an operator's capture command
    Bytes max_output = {1 << 20};
    std::optional<std::pair<unsigned, unsigned>> user; // and group, that it runs as; else ours, with what we may do
};
// A child of ours, leader of its own process group, which gets SIGTERM if we die: launch.hpp says what it is made to
// be. It is reaped without anybody waiting for it, even if the Child is let go while it runs.
class Child : public Process {
public:
    // Null with a reason that says how to mend it: "gunicorn: not found in PATH; install it or give its full path ...".
    static std::shared_ptr<Child> start(boost::asio::io_context& control, const Command& command, std::string& why_not);
    // With capture_output the first max_output bytes, else the last 4 KiB; whole as soon as it has ended. Empty where
    // our own output is inherited.
    virtual const std::string& output() const = 0;
    virtual std::uint64_t output_dropped() const = 0; // bytes beyond that bound
    // To the child and all that it started and that stayed in its group. Works until 1 s after its end (or until the
    // Child is let go, if that is sooner), to end what it left behind; later its number may be a stranger's, and
    // nothing is done.
    virtual void kill_group(int signal) = 0;
};

// Step by step: TERM, ABRT (a faulthandler writes its stacks), KILL; `bound` for each rung. `said` hears of every rung
// that was taken, and of the CONT that wakes a stopped process so that it can end in an orderly way. Signals this one
// process: what a Child leaves behind is kill_group's. True: it has ended.
boost::asio::awaitable<bool> end_by_ladder(std::shared_ptr<Process> process, Duration bound,
                                           std::function<void(const std::string& rung)> said);

} // namespace plimsoll::fleet
