// How much the buffers of one reactor may hold in all, of memory or of disk. Written by that reactor, read by anybody.
#pragma once

#include <atomic>
#include <cstddef>

namespace plimsoll::net::io {

class Budget {
public:
    void set_limit(std::size_t bytes) { limit_ = bytes; }
    bool take(std::size_t bytes) {
        const auto used = used_.load(std::memory_order_relaxed);
        if (bytes > limit_ || used > limit_ - bytes) return false;
        used_.store(used + bytes, std::memory_order_relaxed);
        return true;
    }
    void overdraw(std::size_t bytes) { used_.store(used() + bytes, std::memory_order_relaxed); } // it is there already
    bool full() const { return used() >= limit_; }
    void give(std::size_t bytes) { used_.store(used() - bytes, std::memory_order_relaxed); }
    std::size_t used() const { return used_.load(std::memory_order_relaxed); }

private:
    std::size_t limit_ = std::size_t{64} << 20;
    std::atomic<std::size_t> used_ = 0;
};

} // namespace plimsoll::net::io
