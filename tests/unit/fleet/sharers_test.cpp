#include "plimsoll/fleet/sharers.hpp"

#include <gtest/gtest.h>

namespace plimsoll {
namespace {

TEST(Sharers, workers_in_cgroups_of_their_own_share_the_limit_of_the_one_above_them) {
    Sharers sharers;
    for (const char* worker : {"/slice/worker@1", "/slice/worker@2", "/slice/worker@3", "/slice/worker@4"})
        sharers.add(worker);
    EXPECT_EQ(sharers.of("/slice"), 4U);
    EXPECT_EQ(sharers.of("/slice/worker@1"), 1U);
}

TEST(Sharers, those_in_it_and_those_below_count_and_nobody_beside_it) {
    Sharers sharers;
    for (const char* worker : {"/slice", "/slice", "/slice/a", "/slice/a/b", "/slice-2", "/slice.b/a", "/other"})
        sharers.add(worker);
    EXPECT_EQ(sharers.of("/slice"), 4U);
    EXPECT_EQ(sharers.of("/slice/a"), 2U);
    EXPECT_EQ(sharers.of("/slice-2"), 1U);
}

TEST(Sharers, a_host_is_shared_by_those_that_are_said_to_live_there) {
    Sharers sharers;
    for (const char* worker : {"", "", "/slice", "host web-1", "host web-1", "host web-1/x"}) sharers.add(worker);
    EXPECT_EQ(sharers.of(""), 2U);
    EXPECT_EQ(sharers.of("host web-1"), 2U);
}

TEST(Sharers, who_comes_later_counts_and_nobody_divides_by_zero) {
    Sharers sharers;
    EXPECT_EQ(sharers.of("/slice"), 1U);
    sharers.add("/slice/a");
    sharers.add("/slice/b");
    EXPECT_EQ(sharers.of("/slice"), 2U);
    sharers.clear();
    EXPECT_EQ(sharers.of("/slice"), 1U);
}

} // namespace
} // namespace plimsoll
