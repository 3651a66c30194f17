#include "net/limit_labels.hpp"

#include <string>

#include <gtest/gtest.h>

namespace plimsoll::net {
namespace {

TEST(LimitLabels, before_an_answer_has_named_it_a_request_is_known_by_its_template) {
    LimitLabels labels;
    EXPECT_EQ(labels.of("GET", "/users/1"), "GET /users/{n}");
    EXPECT_EQ(labels.of("GET", "/users/2"), "GET /users/{n}");
    EXPECT_EQ(labels.of("PUT", "/users/2"), "PUT /users/{n}");
    EXPECT_EQ(labels.of("GET", "/"), "GET /");
}

TEST(LimitLabels, what_the_application_named_once_is_known_for_every_value_of_its_placeholders) {
    LimitLabels labels;
    labels.learn("GET", "/users/ann", "GET /users/{name}");
    EXPECT_EQ(labels.of("GET", "/users/bob"), "GET /users/{name}");
    EXPECT_EQ(labels.of("GET", "/users/7"), "GET /users/{name}");
    EXPECT_EQ(labels.of("POST", "/users/bob"), "POST /users/bob") << "nobody has named that";
    EXPECT_EQ(labels.of("GET", "/users/bob/orders"), "GET /users/bob/orders");
    EXPECT_EQ(labels.of("GET", "/users/"), "GET /users/") << "a placeholder stands for something";
    labels.learn("DELETE", "/users/ann", "/users/{name}");
    EXPECT_EQ(labels.of("DELETE", "/users/bob"), "DELETE /users/{name}") << "named without its method";
}

TEST(LimitLabels, what_is_written_out_beats_a_placeholder_whichever_was_learned_first) {
    LimitLabels labels;
    labels.learn("GET", "/users/7", "GET /users/{id}");
    labels.learn("GET", "/users/me", "GET /users/me");
    labels.learn("GET", "/users/me/orders", "GET /users/me/orders");
    EXPECT_EQ(labels.of("GET", "/users/me"), "GET /users/me");
    EXPECT_EQ(labels.of("GET", "/users/you"), "GET /users/{id}");
    labels.learn("GET", "/users/7/cart", "GET /users/{id}/cart");
    EXPECT_EQ(labels.of("GET", "/users/me/cart"), "GET /users/{id}/cart") << "one is no end of the other";
}

TEST(LimitLabels, a_placeholder_at_the_end_takes_all_the_rest_where_an_answer_has_shown_so) {
    LimitLabels labels;
    labels.learn("GET", "/files/a", "GET /files/{path}");
    EXPECT_EQ(labels.of("GET", "/files/b/c"), "GET /files/b/c");
    labels.learn("GET", "/files/b/c/d", "GET /files/{path}");
    EXPECT_EQ(labels.of("GET", "/files/x/y"), "GET /files/{path}");
    EXPECT_EQ(labels.of("GET", "/files/x"), "GET /files/{path}");
}

TEST(LimitLabels, a_pattern_without_the_beginning_that_the_route_cut_off_is_put_behind_it) {
    LimitLabels labels;
    labels.learn("GET", "/api/users/ann", "GET /users/{name}");
    EXPECT_EQ(labels.of("GET", "/api/users/bob"), "GET /users/{name}");
    EXPECT_EQ(labels.of("GET", "/web/users/bob"), "GET /web/users/bob");
    labels.learn("GET", "/tenants/4/users/ann", "GET /users/{name}");
    EXPECT_EQ(labels.of("GET", "/tenants/5/users/bob"), "GET /users/{name}");
}

TEST(LimitLabels, a_name_that_is_no_path_stands_for_the_template) {
    LimitLabels labels;
    labels.learn("POST", "/carts/7/pay", "POST checkout");
    EXPECT_EQ(labels.of("POST", "/carts/8/pay"), "POST checkout");
    labels.learn("GET", "/a/b", "GET /elsewhere/{x}/{y}/{z}");
    EXPECT_EQ(labels.of("GET", "/a/b"), "GET /elsewhere/{x}/{y}/{z}");
}

TEST(LimitLabels, the_first_name_of_a_place_stays_as_another_would_begin_its_counts_anew) {
    LimitLabels labels;
    for (const char* named : {"GET /users/{id}", "GET /users/{user_id}", "GET /users/{id}"}) {
        labels.learn("GET", "/users/7", named);
        EXPECT_EQ(labels.of("GET", "/users/7"), "GET /users/{id}");
    }
}

TEST(LimitLabels, there_are_so_many_and_the_rest_share_one) {
    LimitLabels labels;
    std::size_t own = 0;
    for (int i = 0; i < 2000; ++i)
        own += labels.of("GET", "/slug-" + std::string(1 + i % 40, 'x') + "/" + std::to_string(i) + "y") != "other";
    EXPECT_EQ(own + 1, LimitLabels::most_templates) << "with the rest";
    for (std::size_t i = 0; i < 3 * LimitLabels::most_patterns; ++i) {
        const auto path = "/p" + std::to_string(i) + "/a";
        labels.learn("GET", path, "GET /p" + std::to_string(i) + "/{x}");
    }
    EXPECT_EQ(labels.of("GET", "/p1/b"), "GET /p1/{x}") << "what was learned stays";
    EXPECT_EQ(labels.of("GET", "/p2000/b"), "other");
    EXPECT_EQ(labels.of("GET", "/" + std::string(5000, '/')), "other") << "deeper than any pattern";
}

} // namespace
} // namespace plimsoll::net
