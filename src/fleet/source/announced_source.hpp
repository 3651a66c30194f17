// Workers that announce themselves: an ordinary server (ours to supervise, where the pool has a command; else somebody
// else's) whose workers have the agent, and through it a private listener each. Places are given by arrival:
//
//   hello --> the process that is known already      its connection broke, we were away, or it was found without an agent
//        '--> the successor that a recycle awaits
//        '--> the first empty place                  a worker died or left, its server forked the next
//        '--> a new place
//
// What differs between servers is how one worker of theirs is replaced.
//
// Workers without an agent (a Python that ignores PYTHONPATH, say) are found among the children of a server of ours, by the
// listener that they hold: their memory is watched and SIGTERM alone recycles them; requests reach all of them through the
// server's public address. Which of them served a request nobody can tell: each is taken to have served an equal part. An agent
// that dials late (an application may take minutes to load) makes its worker one like any other.
#pragma once

#include <memory>
#include <optional>
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
    std::optional<net::Address> public_address() const override { return public_address_; }
    void exited(const Exited& word) override;
    std::string last_words_of(const Generation& generation) const override;
    void serves(const WorkerPtr& worker, const GenerationPtr& generation) override;
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
    WorkerPtr place_for(const Hello* hello);
    static boost::asio::awaitable<void> look_after_those_without_address(std::shared_ptr<Pool> pool,
                                                                         AnnouncedSource* self);
    boost::asio::awaitable<void> adopt_children(std::shared_ptr<Pool> pool);
    void adopt(int pid);
    bool take_over(const std::shared_ptr<Agent>& agent); // false: its process is none of those that were found
    void give_late_addresses();
    void mind_the_door();
    void divide_requests();

    std::shared_ptr<Server> server_;             // null: somebody else's
    std::optional<net::Address> public_address_; // of our own server, where its command says it
    WorkerKey door_ = 0;                         // in net::Pool, while some worker has no address of its own
    std::uint64_t divided_ = 0;                  // of the door's requests
    bool heard_of_agents_ = false;
};

} // namespace plimsoll::fleet
