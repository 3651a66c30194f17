// Workers that announce themselves: an ordinary server (ours to supervise, where the pool has a command; else somebody
// else's) whose workers have the agent, and through it a private listener each. Places are given by arrival:
//
//   hello --> the process that is known already      its connection broke, or we were away
//        '--> the successor that a recycle awaits
//        '--> the first empty place                  a worker died or left, its server forked the next
//        '--> a new place
//
// What differs between servers is how one worker of theirs is replaced.
#pragma once

#include <memory>
#include <string>

#include "fleet/pool.hpp"
#include "fleet/source/server.hpp"
#include "fleet/source/source.hpp"

namespace plimsoll::fleet {

class AnnouncedSource : public Source {
public:
    explicit AnnouncedSource(Pool& pool);

    std::string start() override;
    boost::asio::awaitable<void> stop() override;
    void vacated(WorkerPtr worker) override;
    std::string refuse(const Hello& hello) override;
    void connected(std::shared_ptr<Agent> agent) override;
    boost::asio::awaitable<std::string> settle(LeftOver left) override;

protected:
    // The worker whose successor is awaited now, if any, and where it is put.
    struct Awaited {
        WorkerPtr worker;
        GenerationPtr arrived;
    };
    Pool& pool_;
    std::shared_ptr<Awaited> awaited_;

private:
    std::shared_ptr<Server> server_; // null: somebody else's
};

} // namespace plimsoll::fleet
