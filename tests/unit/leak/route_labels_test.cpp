#include "plimsoll/leak/route_labels.hpp"

#include <random>
#include <set>

#include <gtest/gtest.h>

namespace plimsoll::leak {
namespace {

TEST(RouteTemplate, variable_parts_become_placeholders_and_words_stay) {
    const std::pair<const char*, const char*> table[] = {
        {"/", "/"},
        {"", ""},
        {"/orders", "/orders"},
        {"/orders/1234", "/orders/{n}"},
        {"/orders/-5/items/7", "/orders/{n}/items/{n}"},
        {"/orders/1234?page=2#top", "/orders/{n}"},
        {"/v1/users", "/v1/users"},
        {"/users/550e8400-e29b-41d4-a716-446655440000/pets", "/users/{uuid}/pets"},
        {"/commit/9fceb02d0ae598e95dc970b74767f19372d61af8", "/commit/{hash}"},
        {"/faces/deadbeef", "/faces/deadbeef"}, // a word, as far as anybody knows
        {"/faces/deadbee1", "/faces/{hash}"},
        {"/log/2026-03-01", "/log/{date}"},
        {"/log/2026-03-01T12:00:00Z", "/log/{date}"},
        {"/s/eyJhbGciOiJIUzI1NiJ9abc123", "/s/{token}"},
        {"/static/app.3f2a.js", "/static/app.3f2a.js"},
        {"/a//b/", "/a//b/"},
    };
    for (const auto& [path, label] : table) EXPECT_EQ(route_template(path), label) << path;
}

TEST(RouteTemplate, a_path_without_end_has_a_label_with_one) {
    std::string deep, wide(5000, 'x');
    for (int i = 0; i < 1000; ++i) deep += "/a";
    EXPECT_LT(route_template(deep).size(), 210U);
    EXPECT_LT(route_template("/" + wide).size(), 210U);
}

TEST(RouteLabels, each_label_keeps_its_index_while_there_is_room) {
    RouteLabels labels(4);
    const auto a = labels.find("GET /a").index, b = labels.find("GET /b").index;
    EXPECT_NE(a, b);
    EXPECT_NE(a, RouteLabels::other);
    EXPECT_EQ(labels.find("GET /a").index, a);
    EXPECT_EQ(labels.name(b), "GET /b");
    EXPECT_EQ(labels.name(RouteLabels::other), "other");
}

TEST(RouteLabels, heavy_routes_are_never_lost_to_rare_ones) {
    RouteLabels labels(16);
    std::mt19937_64 random(3);
    std::set<std::size_t> heavy;
    for (int i = 0; i < 10; ++i) heavy.insert(labels.find("heavy " + std::to_string(i)).index);
    for (int request = 0; request < 100'000; ++request) {
        labels.find("heavy " + std::to_string(random() % 10));
        labels.find("rare " + std::to_string(random() % 50'000));
    }
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(heavy.contains(labels.find("heavy " + std::to_string(i)).index)) << i;
    EXPECT_EQ(labels.size(), 16U);
}

TEST(RouteLabels, a_route_that_becomes_heavy_when_the_table_is_full_gets_its_place) {
    RouteLabels labels(8);
    for (int i = 0; i < 100; ++i) labels.find("rare " + std::to_string(i));
    std::size_t index = RouteLabels::other;
    bool told = false;
    for (int i = 0; i < 50; ++i) {
        const auto found = labels.find("late");
        told = told || found.taken_over;
        index = found.index;
    }
    EXPECT_NE(index, RouteLabels::other);
    EXPECT_TRUE(told);
    EXPECT_EQ(labels.name(index), "late");
}

} // namespace
} // namespace plimsoll::leak
