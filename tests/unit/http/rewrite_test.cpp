#include "net/http/rewrite.hpp"

#include <vector>

#include <gtest/gtest.h>

#include "net/http/target.hpp"

namespace plimsoll::http {
namespace {

std::string rewritten(std::string_view path, std::string_view strip, std::string_view put = "") {
    std::vector<char> scratch(path.size());
    return rewritten_path(path, routing_path(path, scratch), strip, put);
}

TEST(Rewrite, a_prefix_is_stripped_at_a_segment_only) {
    EXPECT_EQ(rewritten("/api/users", "/api"), "/users");
    EXPECT_EQ(rewritten("/api/", "/api"), "/");
    EXPECT_EQ(rewritten("/api", "/api"), "/");
    EXPECT_EQ(rewritten("/apiary", "/api"), "");
    EXPECT_EQ(rewritten("/other", "/api"), "");
}

TEST(Rewrite, another_prefix_may_take_its_place) {
    EXPECT_EQ(rewritten("/old/x", "/old", "/new/v2"), "/new/v2/x");
    EXPECT_EQ(rewritten("/old", "/old", "/new"), "/new");
    EXPECT_EQ(rewritten("/x", "", "/mount"), "/mount/x");
    EXPECT_EQ(rewritten("/", "", "/mount"), "/mount/");
}

TEST(Rewrite, what_is_left_keeps_its_escapes) {
    EXPECT_EQ(rewritten("/api/a%2Fb/%C3%A9", "/api"), "/a%2Fb/%C3%A9");
    EXPECT_EQ(rewritten("/api/a//b", "/api"), "/a//b");
    EXPECT_EQ(rewritten("/api/%7euser/..a", "/api"), "/%7euser/..a");
}

TEST(Rewrite, an_escaped_prefix_is_one_too) {
    EXPECT_EQ(rewritten("/%61pi/x%20y", "/api"), "/x%20y");
    EXPECT_EQ(rewritten("//api/x", "/api"), "/x");
}

TEST(Rewrite, no_path_becomes_another_host) {
    EXPECT_EQ(rewritten("/api//evil.example/x", "/api"), "/evil.example/x");
    EXPECT_EQ(rewritten("/api/%2fevil.example", "/api"), "/evil.example");
    EXPECT_EQ(rewritten("/api%2f/evil.example", "/api"), "/evil.example");
    EXPECT_EQ(rewritten("/api/%5cevil.example", "/api"), "/%5Cevil.example");
    EXPECT_EQ(rewritten("//evil.example", ""), "/evil.example"); // of a redirect to "{path}"
}

TEST(Rewrite, nothing_climbs_out_of_the_prefix) {
    EXPECT_EQ(rewritten("/api/../admin", "/api"), "");
    EXPECT_EQ(rewritten("/api/a/../b", "/api"), "/b");
    EXPECT_EQ(rewritten("/api/x/%2e%2e/%2e./api/y", "/api"), "/y");
    EXPECT_EQ(rewritten("/x/..%2fapi/%2e%2e/api/z", "/api"), "/z");
}

// Whatever comes: the application gets a path under what was put, and a browser reads no host in it.
TEST(Rewrite, every_short_path_stays_safe) {
    const std::string_view parts[] = {"/", "/a", ".", "..", "%2f", "%2e", "%5c", "a", "//", "%61"};
    std::vector<std::string> paths = {"/"};
    for (int length = 0; length < 4; ++length) {
        std::vector<std::string> longer;
        for (const auto& path : paths)
            for (const auto part : parts) longer.push_back(path + std::string(part));
        for (const auto& path : longer) {
            const auto out = rewritten(path, "/a", "/m");
            if (out.empty()) continue;
            ASSERT_TRUE(out == "/m" || out.starts_with("/m/")) << path << " -> " << out;
            std::vector<char> scratch(out.size());
            const auto resolved = routing_path(out, scratch);
            ASSERT_TRUE(resolved == "/m" || resolved.starts_with("/m/")) << path << " -> " << out;
            const auto bare = rewritten(path, "/a");
            ASSERT_TRUE(bare.starts_with("/") && !bare.starts_with("//") && !bare.starts_with("/%2f")) << path;
        }
        if (length < 3) paths = std::move(longer);
    }
}

} // namespace
} // namespace plimsoll::http
