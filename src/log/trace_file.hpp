// The trace of requests ([log] trace) on its way to its file: blocks of lines, and a bound to what they may take on disk.
//
//   FILE --trace_size is reached--> FILE.1 (its predecessor goes), and FILE begins anew
//
// put() from any thread, never waiting: what the disk does not take in time is dropped and counted. All else by the log's
// thread, or with its lock held.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "log/blocks.hpp"

namespace plimsoll::log {

class TraceFile {
public:
    ~TraceFile() { close(); }
    // Empty path: none. Where the file can't be opened the old one stays, and the reason is returned.
    std::string open(const std::string& path, std::uint64_t most_bytes);
    std::string reopen() { return path_.empty() ? std::string{} : open(path_, most_bytes_); }
    bool put(std::string& block, std::uint64_t lines) { return blocks_.put(block, lines); }
    void write_out();
    std::uint64_t lost() const { return lost_ + blocks_.lost(); }

private:
    void close();
    void rotate();

    Blocks blocks_;
    std::vector<Blocks::Block> taken_;
    std::string path_;
    std::uint64_t most_bytes_ = 0, bytes_ = 0;
    int file_ = -1;
    std::atomic<std::uint64_t> lost_ = 0;
};

} // namespace plimsoll::log
