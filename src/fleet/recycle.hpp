// One recycle, from the decision to the successor's first request. Tells its story in an incident.
//
//   evidence (trace window, phase A) -> successor first, where the source can -> drain -> phase B -> end -> successor
//        |                         '--> none, or refused: the trace is stopped, the old one serves on
//        '--> it died by itself: abandoned                          not even KILL ends it: stuck, its place is filled
//                                                                    when it ends at last, or another process says hello
//
// Whatever fails on the way never costs a worker: a successor that does not become ready is given up and the old one serves
// on; a capture that fails is noted; a drain that takes too long ends, and the requests that it cut are counted.
#pragma once

#include <memory>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "fleet/capture.hpp"
#include "fleet/pool.hpp"
#include "fleet/recycler.hpp"

namespace plimsoll::fleet {

class Recycle : public std::enable_shared_from_this<Recycle> {
public:
    Recycle(std::shared_ptr<Pool> pool, WorkerPtr worker, RecycleCause cause, std::shared_ptr<Incident> incident);
    boost::asio::awaitable<void> run();

private:
    boost::asio::awaitable<void> steps();
    boost::asio::awaitable<void> take_evidence();
    boost::asio::awaitable<bool> start_successor(); // false: the recycle is over
    boost::asio::awaitable<bool> can_be_spared();
    boost::asio::awaitable<bool> drain();
    boost::asio::awaitable<void> examine();
    boost::asio::awaitable<bool> end_old();
    boost::asio::awaitable<bool> await_successor();
    boost::asio::awaitable<void> conclude();
    boost::asio::awaitable<void> give_up_successor(std::string why);
    boost::asio::awaitable<void> close_idle_connections();
    bool old_died(); // by itself, before its time: the recycle is abandoned
    void over(Recycler::End end, const std::string& outcome, const std::string& verdict);
    Duration until_examined() const; // at most, from the evidence on
    Duration patience() const;       // for the requests in flight
    Said said();
    void mark(const char* stage);

    std::shared_ptr<Pool> pool_;
    WorkerPtr worker_;
    RecycleCause cause_;
    std::shared_ptr<Incident> incident_;
    GenerationPtr old_, successor_;
    std::shared_ptr<Capture> capture_;
    Instant begun_;
    WallTime begun_at_;
    Duration drained_{};
    unsigned lost_ = 0;
    std::optional<Bytes> before_;
};

} // namespace plimsoll::fleet
