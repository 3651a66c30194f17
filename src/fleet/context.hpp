// What all pools of the fleet share: threads, the journal, and the way to what surrounds them. Shared by them: coroutines
// of a pool may be destroyed after the fleet, with the io_context that they wait on.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include "fleet/fleet.hpp"
#include "fleet/journal.hpp"
#include "net/shared_promises.hpp"

namespace plimsoll::fleet {

struct Context {
    boost::asio::io_context& control;
    std::shared_ptr<boost::asio::thread_pool> threads; // for whatever may block: SQLite, disk, smaps_rollup
    Journal journal;
    Surroundings surroundings;
    std::string state_dir;              // where a recycle in flight is written down
    std::string control_address, token; // what agents of servers that we start are told
    std::function<unsigned(const std::string& domain)>
        sharing; // how many workers of the whole fleet live in a memory domain or below
    std::shared_ptr<net::SharedPromises> promises = std::make_shared<net::SharedPromises>(); // of memory, by all pools
    bool stopping = false;
};

} // namespace plimsoll::fleet
