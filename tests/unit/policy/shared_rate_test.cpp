#include "plimsoll/policy/shared_rate.hpp"

#include <gtest/gtest.h>

namespace plimsoll {
namespace {

using namespace std::chrono_literals;

using Words = std::vector<std::string>;
using Numbers = std::vector<std::int64_t>;

TEST(SharedRate, the_script_gets_the_keys_and_four_numbers_of_each) {
    const std::vector<SharedSpend> spends = {{"p:a", RateRule::per_second(100, 20), true},
                                             {"p:b", RateRule::per_second(3, 1, 2), false}};
    EXPECT_EQ(shared_rate_arguments(spends),
              (Words{"2", "p:a", "p:b", "10000.000", "210000.000", "1", "1", "333333.333", "666666.666", "2", "0"}));
}

TEST(SharedRate, a_verdict_is_four_numbers_of_the_answer) {
    const auto said = shared_rate_verdicts(Numbers{1, 19, 0, 10'000, 0, 0, 250, 666'667}, 2);
    ASSERT_TRUE(said && said->size() == 2);
    EXPECT_TRUE(said->at(0).allowed);
    EXPECT_EQ(said->at(0).remaining, 19U);
    EXPECT_EQ(said->at(0).whole_after, 10ms);
    EXPECT_FALSE(said->at(1).allowed);
    EXPECT_EQ(said->at(1).retry_after, 250us);
    EXPECT_EQ(said->at(1).whole_after, 666'667us);
}

TEST(SharedRate, an_answer_ends_early_only_with_a_refusal) {
    EXPECT_TRUE(shared_rate_verdicts(Numbers{0, 0, 5, 9}, 2));
    EXPECT_FALSE(shared_rate_verdicts(Numbers{1, 0, 0, 9}, 2));
}

TEST(SharedRate, what_is_no_answer_of_the_script_is_none) {
    for (const auto& answer : {Numbers{}, Numbers{1}, Numbers{1, 2, 3}, Numbers{1, 2, 3, 4, 5}, Numbers{1, -2, 3, 4},
                               Numbers{1, 2, 3, 4, 1, 2, 3, 4}})
        EXPECT_FALSE(shared_rate_verdicts(answer, 1)) << answer.size();
}

TEST(SharedRate, the_shares_of_all_proxies_are_the_rule) {
    const auto rule = RateRule::per_second(100, 19);
    const auto share = local_share(rule, 4);
    EXPECT_EQ(share.interval, 40ms);
    EXPECT_EQ(share.burst, 4U);
    EXPECT_EQ(share.window(), rule.window()) << "so what is owed there counts as much here";
    EXPECT_EQ(local_share(rule, 1).interval, rule.interval);
    EXPECT_EQ(local_share(rule, 1).burst, rule.burst);
}

TEST(SharedRate, a_share_lets_one_request_pass_however_many_proxies_there_are) {
    const auto share = local_share(RateRule::per_second(100, 4, 3), 1000);
    EXPECT_EQ(share.burst, 2U);
    RateTable table(16);
    EXPECT_TRUE(table.spend(Instant{1h}, 7, share).allowed);
}

TEST(SharedRate, what_somebody_else_counted_is_owed_here) {
    RateTable table(16);
    const auto rule = RateRule::per_second(10, 4);
    table.note(Instant{1h}, 7, 400ms);
    EXPECT_TRUE(table.spend(Instant{1h}, 7, rule).allowed);
    EXPECT_FALSE(table.spend(Instant{1h}, 7, rule).allowed);
    table.note(Instant{1h}, 7, 0ms);
    EXPECT_TRUE(table.spend(Instant{1h}, 7, rule).allowed);
}

} // namespace
} // namespace plimsoll
