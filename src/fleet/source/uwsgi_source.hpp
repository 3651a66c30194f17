// uWSGI with its own configuration untouched: UWSGI_INI in its environment adds a unix socket for each worker (map-socket),
// a stats server, and what a supervised master needs. Workers are read from the stats server; the queue of a mapped socket
// is the master's and outlives its worker.
//
//   drain -> HUP to the worker (TERM would cut its request) -> the master forks the next, at the same address
//
// Without a command there is nothing to put the sockets into: such a server is for kind "static".
#pragma once

#include "fleet/pool.hpp"
#include "fleet/source/server.hpp"
#include "fleet/source/source.hpp"
#include "fleet/source/uwsgi_stats.hpp"

namespace plimsoll::fleet {

class UwsgiSource : public Source {
public:
    explicit UwsgiSource(Pool& pool) : pool_(pool) {}

    std::string start() override;
    boost::asio::awaitable<void> stop() override;
    bool successor_first() const override { return false; }
    boost::asio::awaitable<Successor> begin_successor(WorkerPtr worker, Duration bound) override;
    boost::asio::awaitable<std::string> cancel_successor(WorkerPtr worker, GenerationPtr generation,
                                                         Said said) override;
    boost::asio::awaitable<bool> retire(WorkerPtr worker, GenerationPtr generation, Said said) override;
    void vacated(WorkerPtr) override {} // the stats server will name the next one
    std::string refuse(const Hello& hello) override;
    void connected(std::shared_ptr<Agent> agent) override;
    boost::asio::awaitable<std::string> settle(LeftOver left) override;

private:
    static boost::asio::awaitable<void> follow(std::shared_ptr<Pool> pool, UwsgiSource* self);
    void meet(const UwsgiWorker& told);
    void count(const UwsgiWorker& told);
    bool write_ini(unsigned workers) const;
    std::string path(const std::string& name) const; // of a socket or file of this pool in the run directory
    std::pair<WorkerPtr, GenerationPtr> owner(int pid) const;

    Pool& pool_;
    std::shared_ptr<Server> server_;
    std::vector<std::shared_ptr<Agent>> early_; // of workers that are not known yet
};

// How many workers this command line asks for; 0: it does not say.
unsigned uwsgi_processes(const std::vector<std::string>& argv);

} // namespace plimsoll::fleet
