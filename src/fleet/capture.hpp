// The evidence of one incident, taken from one generation of a worker.
//
//   trace_window   before the drain, only on suspicion: tracemalloc on, some hundred requests or some seconds
//   phase_a        before the drain, at most 50 ms of pause: stacks, gc statistics, memory numbers
//   phase_b        drained but alive, nobody waits: traces, census, retainers, malloc; and the operator's own command
//
// Every step has a deadline, and none that fails keeps the recycle from going on: what is missing is said in the incident.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "fleet/journal.hpp"
#include "fleet/leak_evidence.hpp"
#include "fleet/pool.hpp"

namespace plimsoll::fleet {

enum class Afterwards : std::uint8_t { ends, may_serve }; // of the worker whose heap is captured

class Capture : public std::enable_shared_from_this<Capture> {
public:
    Capture(std::shared_ptr<Pool> pool, WorkerPtr worker, GenerationPtr generation, std::shared_ptr<Incident> incident);

    // False: nothing may be captured (switched off, no space); the incident says why.
    boost::asio::awaitable<bool> begin();
    // So many requests, if they come in time; urgent: cut it short. Somebody stops the trace within `stopped_within` after
    // it; else the agent does.
    boost::asio::awaitable<void> trace_window(Duration at_most, unsigned requests, std::function<bool()> urgent = {},
                                              Duration stopped_within = {});
    boost::asio::awaitable<void> phase_a();
    boost::asio::awaitable<void> trace_stop(); // for a worker that serves on: the traces alone
    boost::asio::awaitable<void> phase_b(Duration bound, Afterwards afterwards = Afterwards::ends);
    boost::asio::awaitable<void> stacks_of_the_dead(); // what a faulthandler wrote before the end
    void finish();                                     // the incident's capture status: done, partial, failed, none
    bool took_something() const { return taken_ > 0; }
    bool succeeded() const { return taken_ > 0 && missed_ == 0; }
    Duration trace_cpu() const; // of the worker while it was traced, where its agent told it
    // False: the routes that are known to leak were not asked in the window.
    bool traced_what_leaks() const { return leaks_were_asked_; }
    const std::string& refusal() const { return refusal_; } // why begin() said no

private:
    boost::asio::awaitable<bool> ask(std::string command, boost::json::object args, Duration deadline,
                                     std::string what);
    boost::asio::awaitable<bool> answers();
    boost::asio::awaitable<boost::json::object> census_of_sibling(); // empty: nobody is suspect, or nobody is healthy
    boost::asio::awaitable<bool> have_agent(); // one is put into a worker that has none, where that can be
    boost::asio::awaitable<void> what_proc_tells(std::string name); // all there is where nobody answers
    boost::asio::awaitable<bool> keep(std::string name, std::string content);
    static boost::asio::awaitable<void> run_command(std::shared_ptr<Capture> self, Duration bound);
    boost::asio::awaitable<void> own_numbers(std::string name);
    void missed(const std::string& what, const std::string& why);
    void note_growth();
    void tell_growth(boost::json::object& args); // what the trace's lines must agree with
    boost::json::object asked_in_window() const; // by which its lines find their routes

    std::shared_ptr<Pool> pool_;
    WorkerPtr worker_;
    GenerationPtr generation_;
    std::shared_ptr<Incident> incident_;
    std::int64_t room_ = 0; // bytes left of capture.max_size
    unsigned taken_ = 0, missed_ = 0;
    std::uint64_t traced_ = 0;                // requests in the trace's window
    std::optional<Growth> growth_;            // that the lines of the window are to explain
    std::vector<std::uint64_t> asked_before_; // by label, when the window began
    std::string refusal_;
    std::string why_no_agent_; // as it was told
    bool allowed_ = false, leaks_were_asked_ = true, tracing_ = false, silent_ = false, command_done_ = false,
         told_of_remote_ = false;
};

} // namespace plimsoll::fleet
