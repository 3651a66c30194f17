#include "plimsoll/policy/memory_account.hpp"

#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace plimsoll {
namespace {

TEST(MemoryAccount, two_of_200_fit_into_600_and_a_third_does_not) {
    MemoryAccount account;
    account.observe(120_MiB, 600_MiB);
    for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(account.fits(200_MiB));
        account.promise(200_MiB);
    }
    EXPECT_FALSE(account.fits(200_MiB));
    EXPECT_TRUE(account.fits(1_MiB)) << "a light one is the margin's business";
    account.end(200_MiB);
    EXPECT_TRUE(account.fits(200_MiB));
}

TEST(MemoryAccount, what_a_request_has_taken_of_its_promise_is_not_counted_twice) {
    MemoryAccount account;
    account.observe(120_MiB, 600_MiB);
    account.promise(200_MiB);
    account.observe(320_MiB, 600_MiB); // it has taken it all
    EXPECT_EQ(account.base(), 120_MiB);
    EXPECT_TRUE(account.fits(200_MiB));
}

TEST(MemoryAccount, a_reading_that_is_older_than_the_end_of_a_request_does_not_raise_the_base) {
    MemoryAccount account;
    account.observe(120_MiB, 600_MiB);
    account.promise(200_MiB);
    account.end(200_MiB);
    account.observe(320_MiB, 600_MiB); // read while it still held it
    EXPECT_EQ(account.base(), 120_MiB);
    account.observe(320_MiB, 600_MiB); // nobody is in flight since: it stays
    EXPECT_EQ(account.base(), 320_MiB);
}

TEST(MemoryAccount, what_others_promised_counts_like_ones_own_and_is_not_their_base) {
    MemoryAccount account;
    account.observe(100_MiB, 600_MiB);
    account.promised_elsewhere(400_MiB);
    EXPECT_FALSE(account.fits(100_MiB));
    EXPECT_TRUE(account.ever_fits(400_MiB));
    account.observe(480_MiB, 600_MiB); // they hold most of theirs
    account.observe(480_MiB, 600_MiB);
    EXPECT_EQ(account.base(), 100_MiB);
    account.promised_elsewhere({});
    EXPECT_TRUE(account.fits(400_MiB));
}

TEST(MemoryAccount, a_stale_reading_refuses_nobody) {
    MemoryAccount account;
    EXPECT_TRUE(account.fits(900_MiB)) << "never read";
    account.observe(590_MiB, 600_MiB);
    EXPECT_FALSE(account.fits(100_MiB));
    account.observe(std::nullopt, 600_MiB);
    EXPECT_TRUE(account.fits(100_MiB));
    account.observe(590_MiB, std::nullopt);
    EXPECT_TRUE(account.fits(100_MiB));
}

// Requests take their promise bit by bit and give it back, while readings come at any moment: whoever goes by fits() never
// sees the limit passed, and the base never leaves the truth by more than what was promised.
TEST(MemoryAccount, whoever_goes_by_it_stays_below_the_limit) {
    struct Request {
        std::int64_t need = 0, taken = 0, left = 0;
    };
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        std::mt19937_64 random(seed);
        MemoryAccount account;
        std::vector<Request> running;
        const std::int64_t limit = 600, base = 50 + static_cast<std::int64_t>(random() % 150);
        unsigned admitted = 0;
        account.observe(Bytes{base << 20}, Bytes{limit << 20});
        for (int step = 0; step < 2000; ++step) {
            const std::int64_t need = random() % 3 == 0 ? 200 : 20;
            if (running.size() < 8 && account.fits(Bytes{need << 20})) {
                account.promise(Bytes{need << 20});
                running.push_back({need, 0, 1 + static_cast<std::int64_t>(random() % 10)});
                ++admitted;
            }
            std::int64_t use = base;
            for (Request& each : running) {
                each.taken += (each.need - each.taken + 1) / 2;
                use += each.taken;
            }
            ASSERT_LE(use, limit) << "seed " << seed;
            if (random() % 4 == 0) account.observe(Bytes{use << 20}, Bytes{limit << 20});
            ASSERT_LE(account.base(), Bytes{(base + 400) << 20});
            std::erase_if(running, [&](Request& each) {
                if (--each.left > 0) return false;
                account.end(Bytes{each.need << 20});
                return true;
            });
        }
        ASSERT_TRUE(running.size() <= 8 && admitted > 300) << "seed " << seed << " was paralysed: " << admitted;
    }
}

} // namespace
} // namespace plimsoll
