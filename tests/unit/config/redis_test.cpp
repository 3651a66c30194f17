// [redis], and the limits that need it.
#include <gtest/gtest.h>

#include "config/parse.hpp"
#include "config/redis_url.hpp"
#include "unit/config/least.hpp"

using namespace plimsoll;
using namespace plimsoll::config;

namespace {

std::string problems(const std::string& redis, const std::string& limit = "rate = \"1/s\"\nshared = true\n") {
    std::string text;
    for (const auto& problem :
         parse(least + "[redis]\n" + redis + "[[route]]\n[[route.limit]]\n" + limit, "f").problems)
        text += to_string(problem) + "\n";
    return text;
}

RedisUrl url(std::string_view text) {
    std::string why_not;
    const auto parsed = parse_redis_url(text, why_not);
    EXPECT_TRUE(parsed) << text << ": " << why_not;
    return parsed.value_or(RedisUrl{});
}

TEST(RedisUrl, what_is_not_said_has_the_usual_value) {
    const auto plain = url("redis://localhost");
    EXPECT_EQ(plain.host, "localhost");
    EXPECT_EQ(plain.port, 6379);
    EXPECT_EQ(plain.database, 0U);
    EXPECT_FALSE(plain.tls);
    EXPECT_EQ(plain.shown(), "redis://localhost:6379");
}

TEST(RedisUrl, all_of_it_is_understood) {
    const auto full = url("rediss://bob:p%40ss%3a@[::1]:7000/12");
    EXPECT_TRUE(full.tls);
    EXPECT_EQ(full.host, "::1");
    EXPECT_EQ(full.port, 7000);
    EXPECT_EQ(full.user, "bob");
    EXPECT_EQ(full.password, "p@ss:");
    EXPECT_EQ(full.database, 12U);
    EXPECT_EQ(full.shown(), "rediss://[::1]:7000/12") << "without the password";
    EXPECT_EQ(url("redis://:secret@db:1/").password, "secret");
    EXPECT_EQ(url("redis://[::1]").host, "::1");
    EXPECT_EQ(url("redis://a:b@c@host").password, "b@c") << "the last @ ends the password";
}

TEST(RedisUrl, a_unix_socket_is_a_path) {
    EXPECT_EQ(url("unix:///run/redis.sock?db=3").path, "/run/redis.sock");
    EXPECT_EQ(url("unix:///run/redis.sock?db=3").database, 3U);
    EXPECT_EQ(url("unix:/run/redis.sock").path, "/run/redis.sock");
}

TEST(RedisUrl, what_is_none_is_told_and_never_shown) {
    for (const auto* text :
         {"", "redis", "redis:", "redis://", "redis:///1", "redis://host:0", "redis://host:99999", "redis://host:x",
          "redis://host/x", "redis://host/-1", "redis://:secret%@host", "redis://:secret%4@host", "redis://ho st",
          "redis://::1", "http://host", "unix://", "unix:relative", "unix:/a?x=1", "unix:/a?db=x"}) {
        std::string why_not;
        EXPECT_FALSE(parse_redis_url(text, why_not)) << text;
        EXPECT_NE(why_not, "") << text;
        EXPECT_EQ(why_not.find("secret"), std::string::npos) << text;
    }
}

TEST(RedisCheck, a_shared_limit_needs_a_redis_and_a_rate) {
    EXPECT_EQ(problems("url = \"redis://host\"\n"), "");
    EXPECT_EQ(problems(""),
              "f:10:10: route.limit.shared: a shared limit is counted in Redis: say where it is in [redis] "
              "url (did you mean [redis] url = \"redis://127.0.0.1:6379/0\"?)\n");
    EXPECT_EQ(problems("", "rate = \"1/s\"\nshared = true\nmode = \"off\"\n"), "");
    EXPECT_EQ(problems("url = \"redis://host\"\n", "inflight = 1\nshared = true\n"),
              "f:11:10: route.limit.shared: only a rate can be shared: inflight is counted in each proxy\n");
}

TEST(RedisCheck, one_mistake_is_told_once) {
    EXPECT_EQ(problems("url = \"http://:secret@host\"\n"),
              "f:7:7: redis.url: must begin with redis://, rediss:// (TLS) or unix:/// (did you mean "
              "\"redis://HOST:6379/0\"?)\n");
    EXPECT_EQ(problems("url = 5\n"), "f:7:7: redis.url: must be a string, not a number\n");
}

TEST(RedisCheck, the_password_is_said_once) {
    EXPECT_EQ(problems("url = \"redis://:a@host\"\n"), "");
    EXPECT_EQ(problems("url = \"redis://bob@host\"\npassword = \"b\"\n"), "");
    EXPECT_EQ(problems("url = \"redis://bob@host\"\n"),
              "f:7:7: redis.url: a user needs a password: here (USER:PASSWORD@), in password or in password_file\n");
    EXPECT_EQ(problems("url = \"redis://:a@host\"\npassword = \"b\"\n"),
              "f:8:12: redis.password: the password is said twice: keep one of url, password and password_file\n");
    EXPECT_EQ(problems("url = \"redis://host\"\npassword = \"b\"\npassword_file = \"/f\"\n"),
              "f:9:17: redis.password_file: the password is said twice: keep one of url, password and password_file\n");
}

TEST(RedisCheck, certificates_go_with_tls_and_with_their_keys) {
    EXPECT_EQ(problems("url = \"rediss://host\"\nca_file = \"/ca\"\ncert_file = \"/c\"\nkey_file = \"/k\"\n"), "");
    EXPECT_EQ(problems("url = \"redis://host\"\nca_file = \"/ca\"\n"),
              "f:8:11: redis.ca_file: has no effect without TLS: write the url as rediss://HOST:PORT\n");
    EXPECT_EQ(problems("url = \"rediss://host\"\ncert_file = \"/c\"\n"),
              "f:6:1: redis.key_file: is missing: a certificate of our own takes both cert_file and key_file\n");
}

TEST(RedisCheck, bounds_hold) {
    EXPECT_EQ(problems("url = \"redis://host\"\ntimeout = \"2s\"\n"),
              "f:8:11: redis.timeout: must be from 1ms to 1s, is 2s\n");
    EXPECT_EQ(problems("url = \"redis://host\"\nproxies = 0\n"),
              "f:8:11: redis.proxies: must be from 1 to 1000, is 0\n");
    EXPECT_EQ(problems("url = \"redis://host\"\nprefix = \"a b\"\n"),
              "f:8:10: redis.prefix: a prefix is at most 64 visible characters\n");
}

TEST(RedisCheck, limits_of_one_name_are_all_shared_or_none_of_them) {
    const auto parsed =
        parse(least + "[redis]\nurl = \"redis://h\"\n[[route]]\npath = \"/a\"\n[[route.limit]]\nname = \"n\"\n"
                      "rate = \"1/s\"\nshared = true\n[[route]]\n[[route.limit]]\nname = \"n\"\nrate = \"1/s\"\n",
              "f");
    ASSERT_EQ(parsed.problems.size(), 1U);
    EXPECT_EQ(to_string(parsed.problems[0]),
              "f:16:8: route.limit.name: the limit 'n' on line 10 has another key, rate, "
              "burst or shared: limits of one name share their counts");
}

} // namespace
