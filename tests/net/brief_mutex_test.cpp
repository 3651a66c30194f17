#include "net/brief_mutex.hpp"

#include <gtest/gtest.h>

#include <ctime>
#include <mutex>
#include <thread>
#include <vector>

namespace plimsoll::net {
namespace {

TEST(BriefMutexTest, one_at_a_time_is_in) {
    BriefMutex mutex;
    long count = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 50'000; ++i) {
                const std::lock_guard lock(mutex);
                ++count;
            }
        });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(count, 200'000);
}

TEST(BriefMutexTest, who_is_kept_waiting_sleeps) {
    BriefMutex mutex;
    mutex.lock();
    double used = -1;
    std::thread waiter([&] {
        const std::lock_guard lock(mutex);
        timespec time{};
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
        used = static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds{200}); // how long it is kept, not what is waited for
    EXPECT_FALSE(mutex.try_lock());
    mutex.unlock();
    waiter.join();
    EXPECT_GE(used, 0);
    EXPECT_LT(used, 0.1);
    EXPECT_TRUE(mutex.try_lock());
}

} // namespace
} // namespace plimsoll::net
