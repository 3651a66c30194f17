#include "plimsoll/policy/retry_budget.hpp"

#include <gtest/gtest.h>

namespace plimsoll {
namespace {

unsigned taken(RetryBudget& budget, unsigned tries) {
    unsigned count = 0;
    while (tries-- > 0) count += budget.take();
    return count;
}
void requests(RetryBudget& budget, unsigned count) {
    while (count-- > 0) budget.request_began();
}

TEST(RetryBudget, a_quiet_proxy_may_still_retry_a_few) {
    RetryBudget budget;
    budget.request_began();
    EXPECT_EQ(taken(budget, 10), 3u);
}

TEST(RetryBudget, a_fifth_of_the_requests_may_be_retries) {
    RetryBudget budget;
    requests(budget, 400);
    EXPECT_NEAR(taken(budget, 400), 80u, 1u);
}

// One of two workers dies with all that it holds.
TEST(RetryBudget, the_death_of_a_worker_that_held_half_of_what_was_in_flight_is_within_it) {
    RetryBudget budget;
    requests(budget, 1000);
    EXPECT_EQ(taken(budget, 64), 64u);
}

TEST(RetryBudget, a_fleet_that_goes_on_failing_gets_a_fifth_and_not_more) {
    RetryBudget budget;
    requests(budget, 100'000);
    taken(budget, 1000); // what had been saved
    unsigned retried = 0;
    for (int i = 0; i < 1000; ++i) {
        budget.request_began();
        retried += budget.take();
    }
    EXPECT_NEAR(retried, 200u, 3u);
}

TEST(RetryBudget, what_is_saved_has_a_bound) {
    RetryBudget budget;
    requests(budget, 1'000'000);
    EXPECT_EQ(taken(budget, 1000), 100u);
}

TEST(RetryBudget, what_is_given_back_can_be_taken_again) {
    RetryBudget budget;
    EXPECT_EQ(taken(budget, 10), 3u);
    budget.give();
    EXPECT_EQ(taken(budget, 10), 1u);
    EXPECT_EQ(budget.retries(), 3u);
}

TEST(RetryBudget, unpaired_endings_do_not_wrap_around) {
    RetryBudget budget;
    budget.give();
    EXPECT_EQ(budget.retries(), 0u);
    EXPECT_EQ(taken(budget, 10), 3u);
}

TEST(RetryBudget, who_exceeds_it_counts_as_one_that_is_under_way) {
    RetryBudget budget;
    EXPECT_EQ(taken(budget, 10), 3u);
    budget.exceed();
    budget.give();
    EXPECT_FALSE(budget.take()) << "three are under way still";
}

TEST(RetryBudget, another_configuration_holds_for_what_is_saved_already) {
    RetryBudget budget;
    requests(budget, 1000);
    budget.configure({.share = 0.2, .most_saved = 5, .minimum = 0});
    EXPECT_EQ(taken(budget, 100), 5u);
}

TEST(RetryBudget, a_minimum_of_zero_and_a_share_of_zero_forbid_retries) {
    RetryBudget budget({.share = 0, .minimum = 0});
    requests(budget, 100);
    EXPECT_FALSE(budget.take());
}

} // namespace
} // namespace plimsoll
