#include "net/http/target.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace plimsoll::http {
namespace {

TEST(RoutingPath, is_what_an_application_will_see) {
    struct Row {
        const char *path, *seen;
    };
    for (const Row& row : {
             Row{"/", "/"},
             Row{"/a/b", "/a/b"},
             Row{"/a/", "/a/"},
             Row{"/a%2fb", "/a/b"},
             Row{"/%61dmin", "/admin"},
             Row{"//a///b", "/a/b"},
             Row{"/a/./b/.", "/a/b/"},
             Row{"/a/b/..", "/a/"},
             Row{"/a/../b", "/b"},
             Row{"/a/..", "/"},
             Row{"/public/..%2fadmin", "/admin"},
             Row{"/public/%2e%2e/admin", "/admin"},
             Row{"/a/%2e", "/a/"},
             Row{"/a/...", "/a/..."},
             Row{"/.hidden", "/.hidden"},
             Row{"/a..b/c", "/a..b/c"},
             Row{"/%252e", "/%2e"}, // decoded once, as by the application
             Row{"/a/b/c/../../d", "/a/d"},
             Row{"*", "*"},
             Row{"/..", ""},
             Row{"/a/../..", ""},
             Row{"/%2e%2e/a", ""},
         }) {
        std::vector<char> scratch(std::string_view(row.path).size());
        EXPECT_EQ(routing_path(row.path, scratch), row.seen) << row.path;
    }
}

TEST(RoutingPath, a_plain_path_is_not_copied) {
    const std::string_view path = "/users/42";
    EXPECT_EQ(routing_path(path, {}).data(), path.data());
}

TEST(RoutingPath, has_other_readings) {
    struct Row {
        const char *path, *merged, *by_the_letter;
    };
    for (const auto& row : {
             Row{"/a//../b", "/a/../b", "/a/b"},
             Row{"/a/../b", "/a/../b", "/b"},
             Row{"/x/../a//../b", "/x/../a/../b", "/a/b"},
             Row{"/a/./b/.", "/a/b/.", "/a/b/"},
             Row{"/a/b/..", "/a/b/..", "/a/"},
             Row{"/../a", "/../a", "/a"},
             Row{"/..", "/..", "/"},
             Row{"/a//..b/...", "/a/..b/...", "/a//..b/..."},
             Row{"*", "*", "*"},
         }) {
        std::string merged = row.path, by_the_letter = row.path;
        drop_empty_segments(merged);
        remove_dot_segments(by_the_letter);
        EXPECT_EQ(merged, row.merged) << row.path;
        EXPECT_EQ(by_the_letter, row.by_the_letter) << row.path;
    }
}

TEST(HostOf, takes_what_can_be_routed_and_nothing_else) {
    for (const char* good :
         {"a", "a.b", "A-1_2~", "127.0.0.1", "[::1]", "[2001:db8::1]", "a!$&'()*+;=b", "[v1.a:b]", "[VF.x]"}) {
        EXPECT_EQ(host_of(good), good);
        EXPECT_EQ(host_of(std::string(good) + ":80"), good);
        EXPECT_EQ(host_of(std::string(good) + ":"), good);
    }
    for (const char* bad :
         {"",     ":80",   ".",     "a:b",    "a:1:2", "a:65536", "a:000001", "a b",         "a/b",
          "u@a",  "a%41",  "a,b",   "::1",    "[::1",  "[]",      "[::1]a",   "[127.0.0.1]", "[::1%25eth0]",
          "a\\b", "[v1.]", "[v.a]", "[vg.a]", "[v1a]", "\xc3\xa9"})
        EXPECT_EQ(host_of(bad), "") << bad;
}

} // namespace
} // namespace plimsoll::http
