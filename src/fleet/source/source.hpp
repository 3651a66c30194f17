// Where a pool's workers come from, and how one of them is replaced. One implementation a kind of server; what is common
// to all (readiness, service, drain, capture, incidents) is the pool's and the recycler's.
//
//   successor first:  begin_successor -> (ready, in service, old one drained and captured) -> retire
//                                  '--> cancel_successor, where it does not become ready
//   drain first:      (drained and captured) -> retire -> vacated -> the source's next process takes the place
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "fleet/agent_server.hpp"
#include "fleet/marker.hpp"
#include "fleet/worker.hpp"

namespace plimsoll::fleet {

class Pool;

using Said = std::function<void(const std::string& what)>; // hears what was done, in words for an incident's timeline

struct Successor {
    std::shared_ptr<Generation> generation; // it exists; whether it answers is for the pool to find out
    std::string problem;                    // otherwise
    bool unsupported = false;               // the server cannot do it: drain first instead
};

class Source {
public:
    virtual ~Source() = default;

    // Starts the servers, or begins to wait for them. Empty, or the line that says what is wrong and how to mend it.
    virtual std::string start() = 0;
    // Ends what start() started, by the ladder; leaves alone what others started.
    virtual boost::asio::awaitable<void> stop() = 0;

    virtual bool successor_first() const = 0;
    virtual std::string why_not_recycle(const Worker&) const { return {}; } // empty: it can be recycled
    virtual boost::asio::awaitable<Successor> begin_successor(std::shared_ptr<Worker> worker, Duration bound) = 0;
    // Gives up a successor; `generation` is null where none came. Empty, or what could not be undone.
    virtual boost::asio::awaitable<std::string> cancel_successor(std::shared_ptr<Worker> worker,
                                                                 std::shared_ptr<Generation> generation, Said said) = 0;
    // Ends a drained generation. True: it is gone.
    virtual boost::asio::awaitable<bool> retire(std::shared_ptr<Worker> worker, std::shared_ptr<Generation> generation,
                                                Said said) = 0;
    // A generation has just been put in service.
    virtual void serves(const std::shared_ptr<Worker>&, const std::shared_ptr<Generation>&) {}
    // The place is empty: start the next process, or wait for it.
    virtual void vacated(std::shared_ptr<Worker> worker) = 0;

    // An earlier life of this program was killed in the middle of a recycle: finish it or give it up, and say which.
    virtual boost::asio::awaitable<std::string> settle(LeftOver left) = 0;

    virtual std::string refuse(const Hello&) { return {}; } // empty: this agent belongs here
    virtual void connected(std::shared_ptr<Agent> agent) = 0;
    // Where workers that have no address of their own are reached, whichever of them answers.
    virtual std::optional<net::Address> public_address() const { return std::nullopt; }
    // Why a generation ended that never served, as far as its server's output tells; empty: not at all.
    virtual std::string last_words_of(const Generation&) const { return {}; }
    virtual void exited(const Exited&) {} // an arbiter's word about a process that no worker knows
};

// Null with a reason where this kind cannot be served.
std::unique_ptr<Source> make_source(Pool& pool, std::string& why_not);

} // namespace plimsoll::fleet
