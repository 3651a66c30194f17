// The index against the definition: a scan from the top of the file that asks every rule.
#include "net/route_index.hpp"

#include <random>

#include <gtest/gtest.h>

namespace plimsoll::net {
namespace {

// Few words, so that rules and requests meet, and share beginnings.
class Chance {
public:
    explicit Chance(unsigned seed) : engine_(seed) {}
    std::size_t below(std::size_t bound) { return engine_() % bound; }
    bool one_in(std::size_t n) { return below(n) == 0; }
    template <std::size_t N>
    std::string of(const char* const (&words)[N]) {
        return words[below(N)];
    }
    std::string path() {
        std::string path;
        for (auto segments = below(4); segments-- > 0;)
            path += of({"/", "/a", "/ab", "/api", "/apiary", "/v1", "/v12", "/\xc3\xa9", "x"});
        return path.starts_with('/') ? path : "/" + path;
    }
    std::string host() {
        return of({"", "example.org", "Example.ORG", "a.example.org", "b.a.example.org", "org", "other.test", ".org",
                   "[::1]", "....example.org"});
    }

private:
    std::mt19937 engine_;
};

config::Route any_route(Chance& chance) {
    config::Route route;
    const auto kind = chance.below(6);
    if (kind == 0) // many share one
        route.path = "~" + chance.of({"^/a", "^/v[0-9]+$", "b", "/api(/|$)", "x.*a", "^/$", "(", "."});
    else
        route.path = (kind < 3 ? "=" : "") + chance.path();
    if (chance.one_in(2))
        route.host = chance.of({"example.org", "EXAMPLE.org", "*.example.org", "*.org", "a.example.org", "[::1]"});
    if (chance.one_in(4)) route.methods = {chance.of({"GET", "POST"}), "PUT"};
    if (chance.one_in(4))
        route.headers = {chance.of({"X-Beta", "x-version: 2", "X-Version: ~^[12]$", "X-Version: ~("})};
    return route;
}

http::FieldTable any_fields(Chance& chance) {
    http::FieldTable fields;
    if (chance.one_in(3)) fields.add({"x-beta", "", http::FieldName::other});
    for (auto count = chance.below(3); count-- > 0;)
        fields.add({"X-Version", chance.one_in(2) ? "2" : "12", http::FieldName::other});
    return fields;
}

RouteNumber scan(const std::vector<RouteRule>& rules, const RouteQuery& query) {
    for (RouteNumber number = 0; number < rules.size(); ++number)
        if (rules[number].matches(query)) return number;
    return no_route;
}

TEST(RouteIndex, it_finds_what_a_scan_from_the_top_finds) {
    std::size_t matched = 0, hidden_by_order = 0;
    for (unsigned seed = 0; seed < 300; ++seed) {
        Chance chance(seed);
        std::vector<RouteRule> rules;
        const auto count = 1 + chance.below(seed % 10 == 0 ? 400 : 30);
        for (std::size_t i = 0; i < count; ++i) rules.emplace_back(any_route(chance));
        const RouteIndex index(std::move(rules));
        for (int i = 0; i < 200; ++i) {
            const auto host = chance.host(), path = chance.path(), method = chance.of({"GET", "POST", "PUT", "get"});
            const auto fields = any_fields(chance);
            const RouteQuery query{host, path, method, &fields};
            const auto expected = scan(index.rules(), query);
            ASSERT_EQ(index.find(query), expected)
                << "seed " << seed << ": " << method << " " << host << path << " of " << count << " routes";
            matched += expected != no_route;
            hidden_by_order += expected != no_route && expected > 0;
        }
    }
    EXPECT_GT(matched, 20'000u); // it would prove nothing about requests that meet no rule
    EXPECT_GT(hidden_by_order, 10'000u);
}

// Hundreds at one path: the header's value chooses.
TEST(RouteIndex, routes_that_differ_in_headers_alone_are_found_as_a_scan_finds_them) {
    std::size_t matched = 0, others = 0;
    for (unsigned seed = 0; seed < 100; ++seed) {
        Chance chance(seed);
        const auto number = [&] { return std::to_string(chance.below(100)); };
        std::vector<RouteRule> rules;
        for (std::size_t i = 0; i < 300; ++i) {
            config::Route route;
            route.path = chance.of({"/", "/api", "=/api", "~^/api", "~^/(api)?", "~^/[a-z]*$"});
            if (chance.one_in(3)) route.host = chance.of({"example.org", "*.org"});
            if (!chance.one_in(20))
                route.headers.push_back(chance.of({"X-Tenant: ", "x-tenant: ", "X-Org:"}) + number());
            if (chance.one_in(3)) route.headers.push_back("X-Env: prod");
            if (chance.one_in(5)) route.headers = {"X-Flag-" + number() + (chance.one_in(3) ? ": ~^o" : "")};
            if (chance.one_in(20) || route.headers.empty())
                route.headers.push_back(chance.of({"X-Rare", "X-Env: ~^p"}));
            if (chance.one_in(3)) route.methods = {"POST"};
            rules.emplace_back(route);
        }
        const RouteIndex index(std::move(rules));
        for (int i = 0; i < 200; ++i) {
            std::vector<std::string> values;
            for (int k = 0; k < 3; ++k) values.push_back(number());
            http::FieldTable fields;
            const std::string flag = "x-flag-" + number();
            if (chance.one_in(2)) fields.add({flag, chance.one_in(2) ? "on" : "", http::FieldName::other});
            for (const std::string& value : values)
                fields.add({chance.one_in(2) ? "X-TENANT" : "x-org", value, http::FieldName::other});
            if (chance.one_in(2)) fields.add({"x-env", chance.one_in(2) ? "prod" : "play", http::FieldName::other});
            if (chance.one_in(20)) fields.add({"x-rare", "", http::FieldName::other});
            const auto path = chance.of({"/", "/api", "/api/x"}), method = chance.of({"GET", "POST"});
            const RouteQuery query{"example.org", path, method, &fields};
            const auto expected = scan(index.rules(), query);
            ASSERT_EQ(index.find(query), expected) << "seed " << seed << ": " << method << " " << path;
            matched += expected != no_route;
            others += expected == no_route;
        }
        const RouteQuery bare{"example.org", "/api", "GET", nullptr};
        ASSERT_EQ(index.find(bare), scan(index.rules(), bare));
    }
    EXPECT_GT(matched, 10'000u);
    EXPECT_GT(others, 1'000u);
}

TEST(RouteIndex, without_rules_nothing_matches) { EXPECT_EQ(RouteIndex({}).find({"a", "/", "GET"}), no_route); }

} // namespace
} // namespace plimsoll::net
