#include "net/http/cookies.hpp"

#include <gtest/gtest.h>

namespace plimsoll::http {
namespace {

using Texts = std::vector<std::string_view>;

Texts named(std::string_view name, std::initializer_list<std::string_view> cookies) {
    FieldTable fields;
    for (const auto each : cookies) fields.add("Cookie", each, FieldName::cookie);
    return cookies_named(fields, name);
}

TEST(Cookies, a_name_is_found_wherever_a_parser_finds_it) {
    EXPECT_EQ(named("a", {"a=1; b=2;a=3", "c=4;  a =\t5 "}), (Texts{"1", "3", "5"}));
    EXPECT_EQ(named("a", {"b=2 a=1"}), Texts{"1"}) << "http.cookies ends a pair at a blank";
    EXPECT_EQ(named("a", {"\xe2\x80\x83"
                          "a\x85=1\xa0"}),
              Texts{"1"});
    EXPECT_EQ(named("a", {"a=; a"}), Texts{""});
}

TEST(Cookies, what_only_contains_it_is_another_name) {
    EXPECT_EQ(named("aa", {"aaa=1; aab=2; b=aa; c=/?aa=3; AA=4"}), Texts{});
}

TEST(Cookies, quotes_and_escapes_are_undone_as_http_cookies_does_it) {
    const struct {
        std::string_view text;
        std::optional<std::string> value;
    } cases[] = {
        {"", ""},
        {"abc", "abc"},
        {"a\\142c\"", "a\\142c\""}, // only in quotes
        {R"("")", ""},
        {R"("abc")", "abc"},
        {R"("\141b\c")", "abc"},
        {R"("\"\\\073")", "\"\\;"},
        {R"("\0471\47\400")", "'147400"}, // three digits, up to 377
        {R"(" a b ")", " a b "},
    };
    for (const auto& [text, value] : cases) EXPECT_EQ(cookie_value(text), value) << text;
}

TEST(Cookies, on_what_parsers_disagree_nobody_knows_the_value) {
    for (const auto* text : {"a b", "a\tb", R"(")", R"("a)", R"("a"b")", R"("a" x="b")", R"("a\")", R"("\)"})
        EXPECT_FALSE(cookie_value(text)) << text;
}

} // namespace
} // namespace plimsoll::http
