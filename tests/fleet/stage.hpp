// A whole fleet on the test's own thread, with real processes: a directory of its own, one pool, an incident store, and
// clients that take permits from net::Pool as the data plane does.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "fleet/fleet.hpp"
#include "tests/fleet/turn.hpp"

namespace plimsoll::fleet {

// Closed-loop clients: each takes a permit, sends one request on a connection of its own, and checks the answer.
class Clients {
public:
    Clients(std::shared_ptr<net::Pool> pool, int count);
    ~Clients() { stop(); }
    void stop();
    std::uint64_t answered() const { return answered_; }
    std::uint64_t failed() const { return failed_; }

private:
    void loop();
    std::shared_ptr<net::Pool> pool_;
    std::atomic<bool> stopping_{false};
    std::atomic<std::uint64_t> answered_{0}, failed_{0};
    std::vector<std::thread> threads_;
};

class Stage {
public:
    Stage();
    ~Stage();

    config::Config config; // one pool, "app": change it before start()
    config::Pool& pool() { return config.pools.front(); }
    static std::vector<std::string> python(const std::string& script, std::vector<std::string> arguments);
    std::string start();
    void stop();
    // As if the program had been killed: the fleet is gone without a word, what it started is not ended.
    void vanish();

    // False: it was not so within the bound.
    bool until(const std::function<bool()>& so, std::chrono::seconds bound = std::chrono::seconds{20});
    PoolView view() { return fleet->view().front(); }
    WorkerView worker(const std::string& id);
    bool serving(unsigned count) {
        return until([this, count] { return view().serving == count; });
    }
    // One request through the pool, or straight to a worker; the body of the answer, empty where it failed.
    std::string ask(const std::string& path);
    // The same, counted by its route and sent where an experiment wants it, as the data plane does.
    std::string ask_by_route(const std::string& path, double draw);
    bool admits(); // a request that came now would be sent to somebody
    std::string ask_worker(const std::string& id, const std::string& path);
    // The newest incident with this trigger, once it is closed.
    std::optional<store::Incident> incident(const std::string& trigger,
                                            std::chrono::seconds bound = std::chrono::seconds{20});
    static std::string story(const store::Incident& incident); // its timeline, for messages and searches

    std::filesystem::path directory;
    boost::asio::io_context io;
    std::shared_ptr<net::Pool> net;
    std::optional<store::IncidentStore> store;
    std::unique_ptr<Fleet> fleet;
    std::string start_failed;                                           // what start_failed was called with
    std::vector<WorkerKey> closed_idle;                                 // in order
    std::vector<std::pair<std::string, boost::json::object>> published; // events, in order

private:
    void go_on(); // the fleet has its turn on this thread
};

bool alive(int pid); // and no zombie
std::string http(const net::Address& address, const std::string& path,
                 std::chrono::seconds bound = std::chrono::seconds{10});

} // namespace plimsoll::fleet
