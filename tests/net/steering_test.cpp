#include "net/steering.hpp"

#include <string>

#include <gtest/gtest.h>

#include "net/stats.hpp"

namespace plimsoll::net {
namespace {

TEST(Steering, a_label_that_was_seen_decides_where_its_paths_are_wanted) {
    Steering steering;
    steering.learn("GET", "/orders/17", 1);
    steering.learn("GET", "/about", 2);
    steering.vary({false, true, false});
    EXPECT_EQ(steering.phase(), Steering::Phase::varied);
    EXPECT_EQ(steering.side_of("GET", "/orders/99?x=1"), Side::home);
    EXPECT_EQ(steering.side_of("GET", "http://shop/orders/99"), Side::home);
    EXPECT_EQ(steering.side_of("GET", "/about"), Side::away);
    EXPECT_EQ(steering.side_of("POST", "/orders/99"), Side::away);
}

TEST(Steering, a_slug_is_taken_for_what_its_beginning_meant_last) {
    Steering steering;
    steering.learn("GET", "/articles/why-boats-sink", 1);
    steering.vary({false, true});
    EXPECT_EQ(steering.side_of("GET", "/articles/how-to-bail"), Side::home);
    EXPECT_EQ(steering.side_of("GET", "/articles/how-to-bail/comments"), Side::away);
}

TEST(Steering, what_nobody_has_seen_goes_with_the_rest) {
    Steering steering;
    steering.vary({true, false});
    EXPECT_EQ(steering.side_of("GET", "/never"), Side::home);
    steering.vary({});
    EXPECT_EQ(steering.side_of("GET", "/never"), Side::away);
}

TEST(Steering, a_pause_wants_nothing_anywhere_and_forgets_nothing) {
    Steering steering;
    steering.learn("GET", "/a", 1);
    steering.vary({false, true});
    steering.pause();
    EXPECT_EQ(steering.phase(), Steering::Phase::none);
    steering.vary({false, true});
    EXPECT_EQ(steering.side_of("GET", "/a"), Side::home);
}

TEST(Steering, an_end_forgets_what_was_wanted_but_not_what_was_measured) {
    Steering steering;
    steering.begin();
    steering.learn("GET", "/a", 0);
    steering.vary({true});
    steering.record(Steering::Phase::varied, std::chrono::milliseconds{10});
    steering.control();
    steering.record(Steering::Phase::control, std::chrono::milliseconds{10});
    steering.end();
    EXPECT_EQ(steering.phase(), Steering::Phase::none);
    EXPECT_EQ(steering.side_of("GET", "/a"), Side::away);
    EXPECT_EQ(steering.stats(0.05).varied, 1U);
    EXPECT_EQ(steering.stats(0.05).control, 1U);
}

TEST(Steering, paths_without_end_are_bounded) {
    Steering steering;
    for (int i = 0; i < 50'000; ++i)
        steering.learn("GET", "/w" + std::string(1, static_cast<char>('a' + i % 26)) + "x" + std::to_string(i) + "y/z",
                       1);
    steering.vary({false, true});
    EXPECT_EQ(steering.side_of("GET", "/wbx49999y/z"), Side::home); // the last ones are known
}

TEST(Registry, of_a_pool_the_application_names_256_labels_and_routes_are_not_counted_among_them) {
    Registry registry(1);
    for (int i = 0; i < 300; ++i) registry.labelled("app", "GET /" + std::to_string(i));
    EXPECT_EQ(registry.labelled("app", "GET /299").route, "other");
    EXPECT_EQ(registry.labelled("app", "GET /3").route, "GET /3");
    EXPECT_EQ(registry.labelled("web", "GET /3").pool, "web");
    EXPECT_EQ(registry.series("app", "/configured").route, "/configured");
}

} // namespace
} // namespace plimsoll::net
