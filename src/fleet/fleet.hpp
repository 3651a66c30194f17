// The fleet: every pool's workers, where they come from, and what is done with them. Lives on the control thread, all of
// it: no locks here. Reactors see only net::Pool.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/json/object.hpp>

#include "config/config.hpp"
#include "fleet/agent_server.hpp"
#include "fleet/view.hpp"
#include "net/pool.hpp"
#include "store/incident_store.hpp"

namespace plimsoll::fleet {

// What the fleet needs of its surroundings.
struct Surroundings {
    // Closes every idle upstream connection to this worker on all reactors, then calls done on the control thread.
    std::function<void(WorkerKey, std::function<void()> done)> close_idle;
    std::string run_dir;    // for private sockets; made by the app, 0755
    std::string agent_path; // prepended to PYTHONPATH of servers that we start; empty: nothing
    // A server that we started ended before its pool ever served; `why` is one line ("gunicorn ended with exit code 3:
    // ModuleNotFoundError: No module named 'app'"). `plimsoll run` gives up on it; `serve` goes on trying.
    std::function<void(const std::string& pool, const std::string& why)> start_failed;
    std::function<void(std::string_view event, boost::json::object facts)> publish; // for /v1/events
    std::function<bool(const std::string& pool)>
        sought; // a request may still be on its way to it; not set: none ever is
};

class Fleet {
public:
    Fleet(boost::asio::io_context& control, const config::Config& config, std::vector<std::shared_ptr<net::Pool>> pools,
          store::IncidentStore& store, Surroundings surroundings);
    ~Fleet();

    // Opens the control sockets, starts the servers. Empty, or the one line that says what is wrong and how to mend it.
    std::string start();
    void apply(const config::Config& config); // limits and thresholds of a reload

    // Pools that come and go with a reload. add() starts it; empty, or why not: then it is there no more once it has ended. remove():
    // when nobody seeks it, waits there or is served any more, after `bound` at the latest, ends what it started; `done` is called once it is gone.
    std::string add(const config::Pool& settings, std::shared_ptr<net::Pool> net);
    void remove(const std::string& pool, Duration bound, std::function<void()> done);
    bool ending(const std::string& pool) const;

    void stop(std::function<void()> done); // ends what it started, ladder and all; done is called once

    AgentServer::Stats agents() const;
    bool ready() const;          // every pool that a route leads to has at least one serving worker
    bool ready_for_some() const; // of those pools, or none of them is
    std::vector<PoolView> view() const;
    ActionResult drain(const std::string& pool, const std::string& worker);
    ActionResult undrain(const std::string& pool, const std::string& worker);
    ActionResult recycle(const std::string& pool, const std::string& worker, const std::string& why);
    ActionResult capture(const std::string& pool, const std::string& worker);
    ActionResult trace(const std::string& pool, const std::string& worker);

private:
    struct Impl; // pools with their sources, monitors and recyclers
    std::unique_ptr<Impl> impl_;
};

} // namespace plimsoll::fleet
