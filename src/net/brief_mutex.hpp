// A lock for what takes a fraction of a microsecond: the gate's decisions, by all threads.
//
//   free --lock--> held --lock by another--> it spins for about 2 us, then  awaited --unlock--> free, one is woken
//
// Who meets a held std::mutex goes to sleep, and to be woken takes him a hundred times as long as the holder needed (25 us and
// 0.2 us). Nobody waits for ever: where the holder has lost its core, the waiters sleep as in any other mutex.
#pragma once

#include <atomic>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace plimsoll::net {

class BriefMutex {
public:
    void lock() {
        if (try_lock()) return;
        for (int i = 0; i < spins; ++i) {
            relax();
            if (state_.load(std::memory_order_relaxed) == free && try_lock()) return;
        }
        while (state_.exchange(awaited, std::memory_order_acquire) != free)
            state_.wait(awaited, std::memory_order_relaxed);
    }
    bool try_lock() {
        int expected = free;
        return state_.compare_exchange_strong(expected, held, std::memory_order_acquire, std::memory_order_relaxed);
    }
    void unlock() {
        if (state_.exchange(free, std::memory_order_release) == awaited) state_.notify_one();
    }

private:
    static constexpr int free = 0, held = 1, awaited = 2, spins = 200;

    static void relax() {
#if defined(__x86_64__)
        _mm_pause();
#elif defined(__aarch64__)
        asm volatile("yield");
#endif
    }

    std::atomic<int> state_{free};
};

} // namespace plimsoll::net
