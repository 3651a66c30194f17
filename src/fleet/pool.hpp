// The workers of one pool: who is there, in which state, and what their agents, processes and sources tell of them.
//
//   source --install()--> starting -> warming -> serving        attend(): waits for the agent's `ready`, then probes
//   agent, pidfd, arbiter --died()--> out of net::Pool at once, an incident, source.vacated()
//
// The recycler (recycler.hpp), the monitor (monitor.hpp) and the watch of peaks (peaks.hpp) work on it. Control thread only; whoever suspends keeps the
// pool, the worker and the generation by shared_ptr and looks again at their state afterwards.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "fleet/context.hpp"
#include "fleet/source/source.hpp"
#include "fleet/worker.hpp"

namespace plimsoll::fleet {

class Recycler;
class Monitor;
class Peaks;
class HealthWatch;
class DeathWatch;
class GateWatch;
class LeakWatch;

using WorkerPtr = std::shared_ptr<Worker>;
using GenerationPtr = std::shared_ptr<Generation>;

class Pool : public std::enable_shared_from_this<Pool> {
public:
    Pool(std::shared_ptr<Context> context, config::Pool settings, std::shared_ptr<net::Pool> net);
    ~Pool();

    std::string start();
    void apply(const config::Pool& settings);
    boost::asio::awaitable<void> stop();
    bool stopping() const { return ends_ || context_->stopping; }
    std::string why_stopping() const; // "Plimsoll is stopping"
    void part_from_agents();          // they may come back when there is such a pool again

    Context& context() { return *context_; }
    const config::Pool& settings() const { return settings_; }
    net::Pool& net() { return *net_; }
    Source& source() { return *source_; }
    Recycler& recycler() { return *recycler_; }
    Monitor& monitor() { return *monitor_; }
    Peaks& peaks() { return *peaks_; }
    HealthWatch& health() { return *health_; }
    LeakWatch& leaks() { return *leaks_; }
    std::vector<WorkerPtr>& workers() { return workers_; }
    WorkerPtr find(const std::string& id) const;
    PoolView view() const;
    unsigned serving() const;
    unsigned accepting() const;                                  // of those, who is given requests just now
    std::uint64_t times_served() const { return times_served_; } // generations put in service so far
    bool served_once() const { return times_served_ > 0; }
    unsigned slots_of(const Generation& generation) const; // 0: nobody says; they are learned
    std::optional<std::string> alert() const;
    void set_alert(std::string why); // of the pool itself; the recycler has its own
    // Of one place: that another one serves does not mend it, nor hide it.
    void set_trouble(const WorkerPtr& worker, std::string why);
    void alert_changed(const std::string& news); // of what it tells of another part that looks after the pool

    // Actions of an operator (actions.cpp).
    ActionResult drain(const std::string& id);
    ActionResult undrain(const std::string& id);
    ActionResult recycle(const std::string& id, const std::string& why);
    ActionResult take_capture(const std::string& id, bool trace);

    // What sources do with places and generations.
    WorkerPtr add_worker(); // with the lowest free number
    void drop_worker(const WorkerPtr& worker);
    GenerationPtr new_generation(Worker& worker);
    void install(const WorkerPtr& worker, const GenerationPtr& generation); // it takes the place, and is attended to
    void bind(const WorkerPtr& worker, const GenerationPtr& generation, const std::shared_ptr<Agent>& agent);
    void watch(const WorkerPtr& worker, const GenerationPtr& generation); // its process's end is its death
    void died(const WorkerPtr& worker, const GenerationPtr& generation);  // generation->exit says how, where known
    void forget_place(const WorkerPtr& worker, Duration after);           // dropped if still empty then

    // What a generation goes through.
    struct Readiness {
        bool ready = false;
        std::string text; // "answered 200 after 0.4 s", or why not
    };
    boost::asio::awaitable<Readiness> make_ready(WorkerPtr worker, GenerationPtr generation, Duration bound);
    void put_in_service(const WorkerPtr& worker, const GenerationPtr& generation);
    // Whether net::Pool gives it requests follows from what is known of it: to be told after each change of that.
    void update_acceptance(const Worker& worker, const Generation& generation);
    void take_out(Generation& generation); // out of net::Pool; permits in flight may still end
    void move(const Worker& worker, Generation& generation, WorkerState state);
    unsigned in_flight(const Generation& generation) const; // without a health check that was given up
    std::uint64_t requests(const Generation& generation) const;

    // What agents say, by way of the fleet.
    std::string refuse(const Hello& hello);
    void connected(const std::shared_ptr<Agent>& agent);
    void ready(Agent& agent);
    void sample(Agent& agent, const Sample& sample);
    void disconnected(Agent& agent, bool said_bye);
    void exited(const Exited& exited);

private:
    struct Seat {
        std::weak_ptr<Worker> worker;
        std::weak_ptr<Generation> generation;
    };
    void tell_not_ready(const Worker& worker, Generation& generation, std::string why, Instant asked);
    std::string troubles() const;
    static boost::asio::awaitable<void> attend(std::shared_ptr<Pool> self, WorkerPtr worker, GenerationPtr generation);
    static boost::asio::awaitable<void> watch_gate(std::shared_ptr<Pool> self);
    static boost::asio::awaitable<void> watch_process(std::shared_ptr<Pool> self, WorkerPtr worker,
                                                      GenerationPtr generation);
    static boost::asio::awaitable<void> judge_silence(std::shared_ptr<Pool> self, WorkerPtr worker,
                                                      GenerationPtr generation);
    void look_after(const WorkerPtr& worker, const GenerationPtr& generation); // its agent said goodbye, or is silent
    std::string id_of(WorkerKey key) const;                                    // empty: it has gone
    void warn_of_max_requests(const Hello& hello);
    std::pair<WorkerPtr, GenerationPtr> remote(const Hello& hello) const;
    void begins_anew(const WorkerPtr& worker, const GenerationPtr& generation);

    std::shared_ptr<Context> context_;
    config::Pool settings_;
    std::shared_ptr<net::Pool> net_;
    std::unique_ptr<Source> source_;
    std::unique_ptr<Monitor> monitor_;
    std::unique_ptr<Peaks> peaks_;
    std::unique_ptr<HealthWatch> health_;
    std::unique_ptr<DeathWatch> deaths_;
    std::unique_ptr<GateWatch> gate_;
    std::unique_ptr<LeakWatch> leaks_;
    std::unique_ptr<Recycler> recycler_;
    std::vector<WorkerPtr> workers_;
    std::unordered_map<const Agent*, Seat> seats_;
    std::deque<GenerationPtr> dead_; // the last few: the arbiter's word on them may come later
    WorkerKey last_place_ = 0;
    std::string alert_;
    std::uint64_t times_served_ = 0;
    bool warned_of_max_requests_ = false;
    bool ends_ = false; // a reload took it out of the configuration
};

} // namespace plimsoll::fleet
