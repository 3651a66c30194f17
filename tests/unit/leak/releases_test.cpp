#include "plimsoll/leak/releases.hpp"

#include <gtest/gtest.h>

namespace plimsoll::leak {
namespace {

TEST(Releases, a_leak_came_with_the_first_release_that_had_it) {
    Releases releases;
    releases.clean("1", 90'000);
    releases.clean("2", 40'000);
    releases.leaked("3", 5'000);
    releases.leaked("4", 2'000);
    const auto origin = releases.origin("4");
    ASSERT_TRUE(origin);
    EXPECT_EQ(origin->since.name, "3");
    EXPECT_EQ(origin->before, (ReleaseRecord{"2", 40'000, 0}));
}

TEST(Releases, one_whose_only_accused_process_grows_no_more_did_not_leak) {
    Releases releases;
    releases.leaked("43", 5'000);
    releases.leaked("44", 300);
    releases.leaked("44", 400);
    releases.clean("44", 9'000);
    releases.acquitted("44");
    EXPECT_FALSE(releases.mended("44", 5'000)) << "another one leaks";
    releases.acquitted("44");
    EXPECT_TRUE(releases.mended("44", 5'000));
    releases.acquitted("44");
    releases.acquitted("unheard of");
}

TEST(Releases, two_that_serve_side_by_side_are_news_once) {
    SeenReleases seen;
    EXPECT_FALSE(seen.is_another("43")) << "the first one";
    EXPECT_FALSE(seen.is_another(""));
    EXPECT_TRUE(seen.is_another("44"));
    for (int tick = 0; tick < 100; ++tick) EXPECT_FALSE(seen.is_another(tick % 2 ? "43" : "44"));
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(seen.is_another(std::to_string(i)));
    EXPECT_TRUE(seen.is_another("44")) << "so long ago that nothing is known of it";
}

TEST(Releases, who_was_not_there_for_long_enough_proves_nothing) {
    Releases releases;
    releases.clean("1", 4'999);
    releases.leaked("2", 5'000);
    EXPECT_FALSE(releases.origin("2"));
    EXPECT_FALSE(releases.origin("1"));
    EXPECT_FALSE(releases.origin("unheard of"));
    releases.clean("1", 5'000);
    EXPECT_TRUE(releases.origin("2"));
}

TEST(Releases, a_leak_of_the_first_release_that_is_known_came_with_none) {
    Releases releases;
    releases.leaked("1", 5'000);
    EXPECT_FALSE(releases.origin("1"));
}

TEST(Releases, one_is_mended_when_it_went_on_for_longer_than_the_leak_needed) {
    Releases releases;
    releases.leaked("1", 5'000);
    releases.clean("2", 7'499);
    EXPECT_FALSE(releases.mended("2", 5'000));
    releases.clean("2", 7'500);
    EXPECT_TRUE(releases.mended("2", 5'000));
    EXPECT_FALSE(releases.mended("1", 5'000));
}

TEST(Releases, a_release_that_leaks_elsewhere_did_not_mend_it) {
    Releases releases;
    releases.leaked("1", 5'000);
    releases.clean("2", 90'000);
    releases.leaked("2", 95'000);
    EXPECT_FALSE(releases.mended("2", 5'000));
}

TEST(Releases, nothing_is_learned_of_a_release_without_a_name) {
    Releases releases;
    releases.clean("", 90'000);
    releases.leaked("", 5'000);
    EXPECT_TRUE(releases.all().empty());
}

TEST(Releases, they_are_bounded_and_the_oldest_goes_first) {
    Releases releases;
    for (int i = 0; i < 20; ++i) releases.clean(std::to_string(i), 100);
    EXPECT_EQ(releases.all().size(), Releases::most);
    EXPECT_EQ(releases.all().front().name, "12");
}

} // namespace
} // namespace plimsoll::leak
