// How much the buffers of all reactors may hold together, of memory or of disk: one setting is one bound, whatever the number of
// threads, and one large body may have all of it. Any thread; touched once for a piece of 4 to 64 KiB, and not by a body that
// fits the buffer it is read into.
#pragma once

#include <atomic>
#include <cstddef>

namespace plimsoll::net::io {

class Budget {
public:
    void set_limit(std::size_t bytes) { limit_.store(bytes, std::memory_order_relaxed); }
    bool take(std::size_t bytes) {
        const auto limit = limit_.load(std::memory_order_relaxed);
        auto used = used_.load(std::memory_order_relaxed);
        do {
            if (bytes > limit || used > limit - bytes) return false;
        } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
        return true;
    }
    void overdraw(std::size_t bytes) { used_.fetch_add(bytes, std::memory_order_relaxed); } // it is there already
    bool full() const { return used() >= limit_.load(std::memory_order_relaxed); }
    void give(std::size_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }
    std::size_t limit() const { return limit_.load(std::memory_order_relaxed); }
    std::size_t used() const { return used_.load(std::memory_order_relaxed); }

private:
    // A cache line of its own: what lies beside it is read with every request.
    alignas(64) std::atomic<std::size_t> used_ = 0;
    std::atomic<std::size_t> limit_ = std::size_t{64} << 20;
};

struct Budgets {
    Budget buffers; // bodies in memory
    Budget files;   // bodies in temporary files
};

} // namespace plimsoll::net::io
