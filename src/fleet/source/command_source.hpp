// N copies of a command, each with an address of its own: {socket} becomes a unix socket named by worker and generation,
// {port} a free TCP port. Generations live side by side, so a successor always comes first. A copy that ends is started
// again, at once if it had served, else with growing pauses.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "fleet/pool.hpp"
#include "fleet/source/backoff.hpp"
#include "fleet/source/source.hpp"

namespace plimsoll::fleet {

class CommandSource : public Source {
public:
    explicit CommandSource(Pool& pool) : pool_(pool) {}

    std::string start() override;
    boost::asio::awaitable<void> stop() override;
    bool successor_first() const override { return true; }
    boost::asio::awaitable<Successor> begin_successor(WorkerPtr worker, Duration bound) override;
    boost::asio::awaitable<std::string> cancel_successor(WorkerPtr worker, GenerationPtr generation,
                                                         Said said) override;
    boost::asio::awaitable<bool> retire(WorkerPtr worker, GenerationPtr generation, Said said) override;
    void vacated(WorkerPtr worker) override;
    std::string refuse(const Hello& hello) override;
    void connected(std::shared_ptr<Agent> agent) override;
    std::string last_words_of(const Generation& generation) const override;
    boost::asio::awaitable<std::string> settle(LeftOver left) override;

private:
    std::pair<WorkerPtr, GenerationPtr> owner(const Hello& hello) const;
    GenerationPtr start_generation(const WorkerPtr& worker, std::string& why_not);
    static boost::asio::awaitable<void> start_again(std::shared_ptr<Pool> pool, CommandSource* self, WorkerPtr worker,
                                                    GenerationPtr last);
    static boost::asio::awaitable<bool> end(std::shared_ptr<Pool> pool, GenerationPtr generation, Said said);

    Pool& pool_;
    std::unordered_map<WorkerKey, Backoff> backoffs_; // by place
};

} // namespace plimsoll::fleet
