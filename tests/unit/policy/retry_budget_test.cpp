#include "plimsoll/policy/retry_budget.hpp"

#include <gtest/gtest.h>

namespace plimsoll {
namespace {

unsigned taken(RetryBudget& budget, unsigned tries) {
    unsigned count = 0;
    while (tries-- > 0) count += budget.take();
    return count;
}

TEST(RetryBudget, a_quiet_proxy_may_still_retry_a_few) {
    RetryBudget budget;
    budget.request_began();
    EXPECT_EQ(taken(budget, 10), 3u);
}

TEST(RetryBudget, a_fifth_of_the_requests_in_flight_may_be_retries) {
    RetryBudget budget;
    for (int i = 0; i < 100; ++i) budget.request_began();
    EXPECT_EQ(taken(budget, 100), 20u);
}

TEST(RetryBudget, what_is_given_back_can_be_taken_again) {
    RetryBudget budget;
    EXPECT_EQ(taken(budget, 10), 3u);
    budget.give();
    EXPECT_EQ(taken(budget, 10), 1u);
    EXPECT_EQ(budget.retries(), 3u);
}

TEST(RetryBudget, the_budget_shrinks_with_the_load) {
    RetryBudget budget;
    for (int i = 0; i < 100; ++i) budget.request_began();
    EXPECT_EQ(taken(budget, 10), 10u);
    for (int i = 0; i < 90; ++i) budget.request_ended();
    EXPECT_FALSE(budget.take());
    for (int i = 0; i < 8; ++i) budget.give();
    EXPECT_TRUE(budget.take());
}

TEST(RetryBudget, unpaired_endings_do_not_wrap_around) {
    RetryBudget budget;
    budget.request_ended();
    budget.give();
    EXPECT_EQ(budget.requests(), 0u);
    EXPECT_EQ(budget.retries(), 0u);
    EXPECT_EQ(taken(budget, 10), 3u);
}

TEST(RetryBudget, a_minimum_of_zero_and_a_share_of_zero_forbid_retries) {
    RetryBudget budget({0.0, 0});
    for (int i = 0; i < 100; ++i) budget.request_began();
    EXPECT_FALSE(budget.take());
}

} // namespace
} // namespace plimsoll
