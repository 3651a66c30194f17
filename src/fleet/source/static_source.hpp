// Servers that somebody else starts, each at a given address: containers, systemd units. Their pid comes from the agent, or
// from the unix socket's peer; else it is unknown. An agent may end its own server, and then whoever supervises it starts
// the next; without an agent none of them can be recycled from here.
#pragma once

#include "fleet/pool.hpp"
#include "fleet/source/source.hpp"

namespace plimsoll::fleet {

class StaticSource : public Source {
public:
    explicit StaticSource(Pool& pool) : pool_(pool) {}

    std::string start() override;
    boost::asio::awaitable<void> stop() override;
    bool successor_first() const override { return false; }
    std::string why_not_recycle(const Worker& worker) const override;
    boost::asio::awaitable<Successor> begin_successor(WorkerPtr worker, Duration bound) override;
    boost::asio::awaitable<std::string> cancel_successor(WorkerPtr worker, GenerationPtr generation,
                                                         Said said) override;
    boost::asio::awaitable<bool> retire(WorkerPtr worker, GenerationPtr generation, Said said) override;
    void serves(const WorkerPtr& worker, const GenerationPtr& generation) override;
    void vacated(WorkerPtr worker) override;
    std::string refuse(const Hello& hello) override;
    void connected(std::shared_ptr<Agent> agent) override;
    boost::asio::awaitable<std::string> settle(LeftOver left) override;

private:
    WorkerPtr owner(const Hello& hello) const;
    void begin(const WorkerPtr& worker, net::Address address);
    // False: nobody can be found at its unix socket now.
    static bool find_process(Pool& pool, const WorkerPtr& worker, const GenerationPtr& generation);
    static boost::asio::awaitable<void> look_for_process(std::shared_ptr<Pool> pool, WorkerPtr worker,
                                                         GenerationPtr generation);

    Pool& pool_;
};

} // namespace plimsoll::fleet
