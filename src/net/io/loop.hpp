// What one reactor thread shares among its connections: all of it is touched by that thread alone, but for the budgets, which
// all reactors share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "net/io/budget.hpp"
#include "net/io/deadlines.hpp"
#include "net/io/pipes.hpp"
#include "net/io/poller.hpp"
#include "net/io/wakeup.hpp"

namespace plimsoll::net::io {

class Loop {
public:
    explicit Loop(Budgets& budgets) : buffers(budgets.buffers), files(budgets.files) {}

    // Reads go here first: it fits the second-level cache, holds a request with a body of 64 KiB whole, and an idle connection
    // owns no buffer. What is in it must be used or copied before a co_await that really waits.
    static constexpr std::size_t scratch_size = 80 << 10;
    static constexpr std::size_t least_read = 4 << 10;

    Poller poller;
    Deadlines deadlines;
    RunQueue runnable;
    Pipes pipes;
    Budget& buffers;
    Budget& files;
    Instant now = Clock::now(); // read once a batch of events

    // Taking it ends what others thought was in it, and in what was parsed from it: `scratch_age` tells them.
    char* scratch() {
        outdate();
        return scratch_.get();
    }
    void outdate() { ++scratch_age_; }
    std::uint64_t scratch_age() const { return scratch_age_; }

    // How much to read of what has nowhere to go but to memory. Once that is used up little, so that ten thousand of them do
    // not take much more.
    std::size_t read_size() const { return buffers.full() ? least_read : scratch_size; }

private:
    std::uint64_t scratch_age_ = 0;
    std::unique_ptr<char[]> scratch_ = std::make_unique_for_overwrite<char[]>(scratch_size);
};

} // namespace plimsoll::net::io
