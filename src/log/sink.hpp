// Where the lines go: a file that can be opened again, or standard error. Written by spdlog's one thread.
//
// A quiet log is written line by line, so that it can be watched; a busy one in blocks, so that it costs little: a line
// is held back only while the next one already waits in the queue. Blocks of the access log are written as they are; a
// message without text says that some wait, and blocks of the trace with them.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include <spdlog/sinks/base_sink.h>

#include "log/blocks.hpp"
#include "log/trace_file.hpp"

namespace plimsoll::log {

class Sink : public spdlog::sinks::base_sink<std::mutex> {
public:
    explicit Sink(std::function<bool()> more_waits) : more_waits_(std::move(more_waits)) {}
    ~Sink() override;

    // Empty path: standard error. Where the file can't be opened the old one stays, and the reason is returned.
    std::string open(const std::string& path);
    std::string reopen();
    // The same for the trace of requests; an empty path: none is written.
    std::string trace_to(const std::string& path, std::uint64_t most_bytes);
    Blocks& blocks() { return blocks_; }
    TraceFile& trace() { return trace_; } // of which put() is for any thread, and no other verb
    // Lines that could not be written: a full disk, a closed pipe, blocks that nobody wrote in time.
    std::uint64_t lost() const { return lost_ + blocks_.lost(); }

protected:
    void sink_it_(const spdlog::details::log_msg& message) override;
    void flush_() override;

private:
    void write_out();
    void write_blocks();

    std::function<bool()> more_waits_;
    std::string path_, pending_;
    std::uint64_t pending_lines_ = 0;
    Blocks blocks_;
    std::vector<Blocks::Block> taken_;
    TraceFile trace_;
    int file_ = 2;
    std::atomic<std::uint64_t> lost_ = 0;
};

} // namespace plimsoll::log
