#include "net/cost_labels.hpp"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

namespace plimsoll::net {
namespace {

bool is_new(const CostLabels::Found& found) {
    return std::ranges::any_of(found.fresh, [&](const auto& each) { return each.key == found.key; });
}
CostKey like(const CostLabels::Found& found) {
    for (const auto& each : found.fresh)
        if (each.key == found.key) return each.like;
    return 0;
}

TEST(CostLabels, requests_of_one_template_have_one_label_whatever_they_ask_for) {
    CostLabels labels;
    const auto first = labels.find("GET", "/reports/7?rows=10");
    EXPECT_TRUE(is_new(first));
    EXPECT_EQ(labels.name(first.key), "GET /reports/{n}");
    for (const char* target : {"/reports/8", "/reports/9?rows=900", "http://example.com/reports/10"}) {
        const auto again = labels.find("GET", target);
        EXPECT_EQ(again.key, first.key) << target;
        EXPECT_FALSE(is_new(again)) << target;
    }
    EXPECT_NE(labels.find("POST", "/reports/7").key, first.key);
}

TEST(CostLabels, a_split_one_is_told_apart_by_the_whole_target_and_knows_what_it_is_a_part_of) {
    CostLabels labels;
    const auto whole = labels.find("GET", "/reports/7?rows=10");
    labels.split(whole.key);
    const auto small = labels.find("GET", "/reports/7?rows=10"), large = labels.find("GET", "/reports/7?rows=900");
    EXPECT_NE(small.key, large.key);
    EXPECT_TRUE(is_new(small));
    EXPECT_EQ(like(small), whole.key);
    EXPECT_EQ(like(large), whole.key);
    EXPECT_EQ(labels.name(large.key), "GET /reports/7?rows=900");
    EXPECT_FALSE(is_new(labels.find("GET", "/reports/7?rows=10")));
}

TEST(CostLabels, after_a_restart_a_label_is_found_by_its_name_and_what_was_told_apart_is) {
    CostLabels labels;
    const CostKey reports = labels.recall("GET /reports/{n}"), large = labels.recall("GET /pages/7?rows=900");
    const auto asked = labels.find("GET", "/reports/8");
    EXPECT_EQ(asked.key, reports);
    EXPECT_FALSE(is_new(asked)) << "what was learned of it would be lost";
    EXPECT_EQ(labels.find("GET", "/pages/7?rows=900").key, large);
    EXPECT_NE(labels.find("GET", "/pages/7?rows=1").key, large);
}

TEST(CostLabels, what_differs_in_its_last_part_only_is_a_family) {
    CostLabels labels;
    const auto berlin = labels.find("GET", "/reports/berlin"), rome = labels.find("GET", "/reports/rome?year=2020");
    EXPECT_NE(berlin.key, rome.key);
    EXPECT_EQ(like(berlin), like(rome));
    EXPECT_EQ(labels.name(like(rome)), "GET /reports/*");
    EXPECT_NE(like(labels.find("GET", "/pages/rome")), like(rome));
    EXPECT_NE(like(labels.find("POST", "/reports/oslo")), like(rome));
    EXPECT_EQ(labels.name(like(labels.find("OPTIONS", "*"))), "*");
}

// An application of a million pages: keys stay within the table, and who finds no place is one of his family.
TEST(CostLabels, there_are_never_more_than_the_table_holds_and_a_family_stands_for_the_others) {
    CostLabels labels;
    const CostKey family = like(labels.find("GET", "/pages/first"));
    unsigned by_family = 0;
    for (int i = 0; i < 20000; ++i) {
        const auto found = labels.find("GET", "/pages/a-" + std::to_string(i) + "-title");
        ASSERT_LE(found.key, MemoryCosts::most);
        by_family += found.key == family;
    }
    EXPECT_GT(by_family, 15000U);
    for (int i = 0; i < 1000; ++i)
        ASSERT_LE(labels.find("GET", "/x" + std::to_string(i) + "x/page").key, MemoryCosts::most);
    EXPECT_EQ(labels.name(static_cast<CostKey>(CostLabels::most_labels)), "other");
}

} // namespace
} // namespace plimsoll::net
