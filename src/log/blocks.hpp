// Lines that were formatted elsewhere, on their way to the log's thread in blocks: what a busy access log needs, where one
// message a line would cost more than the line.
//
//   reactor --put(block)--> [ waiting, bounded ] --take--> the log's thread
//
// Putting swaps the block for an emptied one that was written before, so nothing is copied and, once warm, nothing is
// allocated. What goes beyond the bound is dropped at once and counted line by line: whoever serves never waits for a disk.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace plimsoll::log {

class Blocks {
public:
    struct Block {
        std::string text;
        std::uint64_t lines = 0;
    };

    bool put(std::string& text, std::uint64_t lines); // `text` is empty afterwards; false: it was dropped
    // All that waits, oldest first. `written` goes back to those who put.
    void take(std::vector<Block>& written);
    std::uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

    static constexpr std::size_t most_bytes = 8 << 20; // that wait
    static constexpr std::size_t most_spares = 16;

private:
    std::mutex mutex_;
    std::vector<Block> waiting_;
    std::vector<std::string> spares_;
    std::size_t bytes_ = 0;
    std::atomic<std::uint64_t> lost_ = 0;
};

} // namespace plimsoll::log
