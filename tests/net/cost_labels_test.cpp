#include "net/cost_labels.hpp"

#include <string>

#include <gtest/gtest.h>

namespace plimsoll::net {
namespace {

TEST(CostLabels, requests_of_one_template_have_one_label_whatever_they_ask_for) {
    CostLabels labels;
    const auto first = labels.find("GET", "/reports/7?rows=10");
    EXPECT_TRUE(first.is_new);
    EXPECT_EQ(labels.name(first.key), "GET /reports/{n}");
    for (const char* target : {"/reports/8", "/reports/9?rows=900", "http://example.com/reports/10"}) {
        const auto again = labels.find("GET", target);
        EXPECT_EQ(again.key, first.key) << target;
        EXPECT_FALSE(again.is_new) << target;
    }
    EXPECT_NE(labels.find("POST", "/reports/7").key, first.key);
}

TEST(CostLabels, a_split_one_is_told_apart_by_the_whole_target_and_knows_what_it_is_a_part_of) {
    CostLabels labels;
    const auto whole = labels.find("GET", "/reports/7?rows=10");
    labels.split(whole.key);
    const auto small = labels.find("GET", "/reports/7?rows=10"), large = labels.find("GET", "/reports/7?rows=900");
    EXPECT_NE(small.key, large.key);
    EXPECT_TRUE(small.is_new);
    EXPECT_EQ(small.part_of, whole.key);
    EXPECT_EQ(large.part_of, whole.key);
    EXPECT_EQ(labels.name(large.key), "GET /reports/7?rows=900");
    EXPECT_FALSE(labels.find("GET", "/reports/7?rows=10").is_new);
}

// An application of a million pages: keys stay within the table, and who finds no place is one of the rest.
TEST(CostLabels, there_are_never_more_than_the_table_holds) {
    CostLabels labels;
    for (int i = 0; i < 20000; ++i) {
        const auto found = labels.find("GET", "/pages/a-" + std::to_string(i) + "-title");
        ASSERT_LE(found.key, MemoryCosts::most);
    }
}

} // namespace
} // namespace plimsoll::net
