// uvicorn --workers N with the agent in each child. Its supervisor cannot be asked for one more in a chosen place: so the
// worker is drained first, ended, and the supervisor starts the next; capacity dips by one worker meanwhile. With a single
// worker requests wait in the queue until it is back.
#pragma once

#include "fleet/source/announced_source.hpp"

namespace plimsoll::fleet {

class UvicornSource : public AnnouncedSource {
public:
    using AnnouncedSource::AnnouncedSource;

    bool successor_first() const override { return false; }
    boost::asio::awaitable<Successor> begin_successor(WorkerPtr worker, Duration bound) override;
    boost::asio::awaitable<std::string> cancel_successor(WorkerPtr worker, GenerationPtr generation,
                                                         Said said) override;
    boost::asio::awaitable<bool> retire(WorkerPtr worker, GenerationPtr generation, Said said) override;
};

} // namespace plimsoll::fleet
