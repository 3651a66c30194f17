// gunicorn, command line and configuration untouched. A chosen worker is replaced successor first: its agent has the arbiter
// fork one worker more, and when the chosen one ends the arbiter's count falls back. A successor that cannot boot is
// cancelled; the others never notice.
//
// Signals: TERM, ABRT and KILL only, to workers only. HUP and USR2 would kill a worker at once, and TTOU ends the oldest.
#pragma once

#include "fleet/source/announced_source.hpp"

namespace plimsoll::fleet {

class GunicornSource : public AnnouncedSource {
public:
    using AnnouncedSource::AnnouncedSource;

    bool successor_first() const override { return true; }
    boost::asio::awaitable<Successor> begin_successor(WorkerPtr worker, Duration bound) override;
    boost::asio::awaitable<std::string> cancel_successor(WorkerPtr worker, GenerationPtr generation,
                                                         Said said) override;
    boost::asio::awaitable<bool> retire(WorkerPtr worker, GenerationPtr generation, Said said) override;
    void exited(const Exited& word) override;
    boost::asio::awaitable<std::string> settle(LeftOver left) override;

private:
    bool boot_failed_ = false; // of the awaited successor, before its agent could say a word
};

} // namespace plimsoll::fleet
