#include "config/parse.hpp"

#include <cstdio>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "unit/config/least.hpp"

using namespace plimsoll;
using namespace plimsoll::config;
using namespace std::chrono_literals;

namespace {

std::string all_of(const Parsed& parsed) {
    std::string text;
    for (const auto& problem : parsed.problems) text += to_string(problem) + "\n";
    return text;
}

// One table for all: what stands after the least configuration (or before it: it ends with a newline), and the one
// problem.
struct Case {
    const char* text;
    const char* expect; // the whole problem; empty: accepted
};
void expect_each(std::initializer_list<Case> cases) {
    for (const auto& c : cases) {
        SCOPED_TRACE(c.text);
        auto parsed = parse(c.text, "f");
        EXPECT_EQ(all_of(parsed), *c.expect == '\0' ? "" : std::string(c.expect) + "\n");
    }
}
void expect_after_least(std::initializer_list<Case> cases) {
    for (const auto& c : cases) {
        SCOPED_TRACE(c.text);
        auto parsed = parse(least + c.text, "f");
        EXPECT_EQ(all_of(parsed), *c.expect == '\0' ? "" : std::string(c.expect) + "\n");
    }
}

TEST(Parse, the_least_file_gets_a_listener_and_a_route) {
    auto parsed = parse(least, "f");
    ASSERT_EQ(all_of(parsed), "");
    ASSERT_EQ(parsed.config.listeners.size(), 1u);
    EXPECT_EQ(parsed.config.listeners[0], Listener{});
    ASSERT_EQ(parsed.config.routes.size(), 1u);
    EXPECT_EQ(parsed.config.routes[0].path, "/");
    EXPECT_EQ(parsed.config.routes[0].pool, "app");
}

TEST(Parse, a_route_without_a_pool_goes_to_the_only_one) {
    auto parsed = parse(least + "[[route]]\npath = \"/api\"\n", "f");
    ASSERT_EQ(all_of(parsed), "");
    EXPECT_EQ(parsed.config.routes.at(0).pool, "app");
}

TEST(Parse, every_kind_of_value_reaches_its_member) {
    auto parsed = parse(R"(
[proxy]
threads = 3
control = ["/run/c.sock", "tcp:0.0.0.0:9181"]
token = "secret"
trusted_proxies = "10.0.0.0/8"
[log]
level = "debug"
access = true
access_sample = "5%"
[[listener]]
address = "unix:/run/in.sock"
max_body = 1000
[[listener]]
address = "127.0.0.1:0"
[[listener]]
address = "127.0.0.1:0"
[[route]]
path = "~^/v[0-9]+/"
methods = ["GET"]
pool = "b"
priority = "sheddable"
[[route.limit]]
key = ["client", "header:X-Key"]
rate = "30/m"
mode = "shadow"
[[route]]
pool = "a"
[[pool]]
name = "a"
[pool.source]
kind = "command"
command = ["uvicorn", "--uds", "{socket}", "app:app"]
environment = { A = "1" }
workers = 4
[pool.memory]
limit = "512MiB"
load_line = 0.9
[pool.recycle]
soft_limit = "400MiB"
hard_limit = 0.95
min_serving = 3
drain_timeout = "1m"
[[pool]]
name = "b"
[pool.source]
kind = "gunicorn"
[pool.upstream]
idle_timeout = "0s"
)",
                        "f");
    ASSERT_EQ(all_of(parsed), "");
    const auto& c = parsed.config;
    EXPECT_EQ(c.proxy.threads, 3u);
    EXPECT_EQ(c.proxy.control.size(), 2u);
    EXPECT_EQ(c.proxy.trusted_proxies, std::vector<std::string>{"10.0.0.0/8"});
    EXPECT_EQ(c.log.level, LogLevel::debug);
    EXPECT_DOUBLE_EQ(c.log.access_sample, 0.05);
    EXPECT_EQ(c.listeners.at(0).max_body, Bytes{1000});
    EXPECT_EQ(c.routes.at(0).priority, Priority::sheddable);
    EXPECT_EQ(c.routes.at(0).limits.at(0).key.at(1), "header:X-Key");
    EXPECT_EQ(c.routes.at(0).limits.at(0).mode, Mode::shadow);
    const auto& pool = c.pools.at(0);
    EXPECT_EQ(pool.source.kind, SourceKind::command);
    EXPECT_EQ(pool.source.environment.at(0), (std::pair<std::string, std::string>{"A", "1"}));
    EXPECT_EQ(pool.memory.limit, 512_MiB);
    EXPECT_EQ(pool.recycle.soft_limit, (Level{400_MiB}));
    EXPECT_EQ(pool.recycle.hard_limit, (Level{0.95}));
    EXPECT_EQ(pool.recycle.min_serving, 3u);
    EXPECT_EQ(pool.recycle.drain_timeout, Duration{1min});
    EXPECT_EQ(c.pools.at(1).upstream.idle_timeout, Duration{0s});
}

TEST(Parse, five_mistakes_are_five_problems_with_their_places) {
    auto parsed = parse(R"([proxy]
threads = "two"
[[listener]]
address = "0.0.0.0"
[[route]]
pool = "ap"
[[pool]]
name = "app"
[pool.source]
kind = "gunicron"
[pool.recycle]
soft_limt = "400MiB"
)",
                        "conf.toml");
    EXPECT_EQ(all_of(parsed), R"(conf.toml:2:11: proxy.threads: must be a whole number, not a string
conf.toml:4:11: listener.address: '0.0.0.0' is no address: the port is missing: write HOST:PORT, [IPV6]:PORT or unix:/path
conf.toml:6:8: route.pool: there is no pool 'ap', only app (did you mean "app"?)
conf.toml:10:8: pool.source.kind: 'gunicron' is not one of static, command, gunicorn, uvicorn, uwsgi (did you mean "gunicorn"?)
conf.toml:12:1: pool.recycle.soft_limt: unknown key (did you mean soft_limit?)
)");
}

TEST(Parse, a_file_without_pools_says_what_is_missing) {
    expect_each(
        {{"",
          "f: pool: there is none: a [[pool]] with a name and a [pool.source] says which workers to send requests to"},
         {"[[pool]]\nname = \"a\"\n",
          "f:1:1: pool.source: is missing: [pool.source] says where the workers come from"}});
}

TEST(Parse, bad_toml_is_told_with_its_place) {
    for (auto text : {"[proxy\n", "a = = 1", "a = 1\na = 2\n", "x = \"", "[[pool]]\nname = \"a\"\nname = \"b\"\n",
                      "\xff\xfe", "a = 99999999999999999999"}) {
        auto parsed = parse(text, "f");
        ASSERT_EQ(parsed.problems.size(), 1u) << text;
        EXPECT_GT(parsed.problems[0].line, 0u) << text;
        EXPECT_FALSE(parsed.problems[0].message.empty()) << text;
    }
}

TEST(Parse, unknown_keys_are_told_with_what_was_meant_or_where_they_belong) {
    expect_after_least({
        {"adresses = []\n", "f:6:1: pool.source.adresses: unknown key (did you mean addresses?)"},
        {"soft_limit = \"80%\"\n", "f:6:1: pool.source.soft_limit: unknown key here: it belongs in [pool.recycle]"},
        {"[proxy]\nbind = \":80\"\n", "f:7:1: proxy.bind: unknown key here: it belongs in [[listener]], as address"},
        {"[[listener]]\naddress = \":80\"\nport = 81\n", "f:8:1: listener.port: unknown key (did you mean address?)"},
        {"colour = 1\n", "f:6:1: pool.source.colour: unknown key"},
        {"[cache]\nurl = \"x\"\n", "f:6:2: cache: unknown key"},
        {"[pool.recicle]\n", "f:6:7: pool.recicle: unknown key (did you mean recycle?)"},
        {"[pool.healthcheck]\n", "f:6:7: pool.healthcheck: unknown key (did you mean health?)"},
        {"[pool.memory]\nload-line = 0.5\n", "f:7:1: pool.memory.load-line: unknown key (did you mean load_line?)"},
    });
}

TEST(Parse, a_misspelt_key_is_not_also_missing) {
    expect_each({{"[[pool]]\nnmae = \"app\"\n[pool.source]\naddresses = [\"a:1\"]\n",
                  "f:2:1: pool.nmae: unknown key (did you mean name?)"},
                 {"[[pool]]\nname = \"app\"\n[pool.sorce]\naddresses = [\"a:1\"]\n",
                  "f:3:7: pool.sorce: unknown key (did you mean source?)"}});
}

TEST(Parse, wrong_types_say_what_would_be_right) {
    expect_after_least({
        {"[pool.queue]\nsize = -1\n", "f:7:8: pool.queue.size: must be from 0 to 1000000, is -1"},
        {"[pool.queue]\nsize = 1.5\n", "f:7:8: pool.queue.size: must be a whole number, not a fraction"},
        {"[pool.queue]\ntimeout = 5\n",
         "f:7:11: pool.queue.timeout: needs a unit (ms, s, m, h, d) (did you mean \"5s\"?)"},
        {"[pool.queue]\ntimeout = \"5\"\n",
         "f:7:11: pool.queue.timeout: '5' is no duration: write a number and ms, s, m, h or d, such as \"30s\""},
        {"[pool.queue]\ntimeout = \"48h\"\n", "f:7:11: pool.queue.timeout: must be from 0s to 1d, is 2d"},
        {"[pool.health]\nexpect = [\"200\", \"20\"]\n",
         "f:7:18: pool.health.expect: '20' is neither a status (\"200\") nor a range (\"200-399\")"},
        {"[pool.health]\nexpect = \"399-200\"\n",
         "f:7:10: pool.health.expect: '399-200' is neither a status (\"200\") nor a range (\"200-399\")"},
        {"[pool.health]\nhost = \"a b\"\n",
         "f:7:8: pool.health.host: 'a b' must be what stands in a Host field: \"app.example.org\""},
        {"[pool.health]\nmethod = \"GETT\"\n",
         "f:7:10: pool.health.method: 'GETT' is not one of GET, HEAD (did you mean \"GET\"?)"},
        {"[pool.adaptive]\nmin = 9\nmax = 8\n", "f:7:7: pool.adaptive.min: min (9) must not be above max (8)"},
        {"[pool.adaptive]\nmax = 7\n", "f:7:7: pool.adaptive.max: initial (8) must be from min (1) to max (7)"},
        {"[pool.health]\ntimeout = \"0s\"\n", "f:7:11: pool.health.timeout: must be from 10ms to 1d, is 0s"},
        {"[pool.memory]\nlimit = \"many\"\n",
         "f:7:9: pool.memory.limit: 'many' is no size: write a number and a unit, such as \"512MiB\" or \"1GiB\""},
        {"[pool.memory]\nlimit = 512\n", "f:7:9: pool.memory.limit: must be at least 1MiB, is 512"},
        {"[pool.memory]\nload_line = 85\n",
         "f:7:13: pool.memory.load_line: must be a share from 1% to 100%, such as 0.85 or \"85%\""},
        {"[pool.memory]\nload_line = nan\n",
         "f:7:13: pool.memory.load_line: must be a share from 1% to 100%, such as 0.85 or \"85%\""},
        {"[pool.memory]\nmode = true\n",
         "f:7:8: pool.memory.mode: must be one of enforce, shadow, off, not true or false"},
        {"[pool.recycle]\nsoft_limit = 80\n",
         "f:7:14: pool.recycle.soft_limit: must be at least 1MiB, or a share of the limit such as \"80%\""},
        {"[pool.recycle]\nsoft_limit = 1.5\n",
         "f:7:14: pool.recycle.soft_limit: must be a size such as \"400MiB\" or a share of the limit such as \"80%\""},
        {"[pool.capture]\ncommand = \"py-spy dump\"\n",
         "f:7:11: pool.capture.command: must be a list of strings: [\"...\", \"...\"], not a string"},
        {"[pool.capture]\ncommand = [\"a\", 1]\n", "f:7:17: pool.capture.command: must be a string, not a number"},
        {"[pool.leak]\npolicy = \"advice\"\n",
         "f:7:10: pool.leak.policy: 'advice' is not one of observe, advise, act (did you mean \"advise\"?)"},
        {"[log]\naccess = \"on\"\n", "f:7:10: log.access: must be true or false, not a string"},
        {"[log]\nfile = \"a\\u0000b\"\n", "f:7:8: log.file: must not contain a NUL character"},
        {"[pool.source.environment]\nA = 1\n",
         "f:7:5: pool.source.environment.A: must be a string (\"1\", not 1), not a number"},
    });
}

TEST(Parse, single_and_double_brackets_are_told_apart) {
    expect_after_least(
        {{"[route]\npath = \"/\"\n", "f:6:1: route: there may be several: write it with double brackets, [[route]]"},
         {"[[proxy]]\nthreads = 1\n", "f:6:1: proxy: there is only one: write it with single brackets, [proxy]"}});
    expect_each({{"proxy = 1\n"
                  "[[pool]]\nname = \"a\"\n[pool.source]\naddresses = [\"a:1\"]\n",
                  "f:1:9: proxy: must be a table, not a number"}});
}

TEST(Parse, addresses_beyond_this_machine_need_a_token) {
    expect_after_least({
        {"[admin]\nlisten = \"0.0.0.0:9180\"\n",
         "f:7:10: admin.listen: whoever reaches the admin address can recycle workers, so one beyond this machine "
         "needs a token: set [admin] token_file (or token), or listen on 127.0.0.1:PORT or unix:/path"},
        {"[admin]\nlisten = \"0.0.0.0:9180\"\ntoken = \"t\"\n", ""},
        {"[admin]\nlisten = \"0.0.0.0:9180\"\ntoken_file = \"t\"\n", ""},
        {"[admin]\nlisten = \"unix:/run/admin.sock\"\n", ""},
        {"[admin]\ntoken = \"a\"\ntoken_file = \"b\"\n",
         "f:8:14: admin.token_file: token and token_file exclude each other: keep one of them"},
        {"[proxy]\ncontrol = \"tcp:0.0.0.0:9181\"\n",
         "f:7:11: proxy.control: agents that dial over TCP must show a token: set [proxy] token or token_file, and "
         "PLIMSOLL_TOKEN where the agents run"},
        {"[proxy]\ncontrol = \"0.0.0.0:9181\"\n", "f:7:11: proxy.control: '0.0.0.0:9181' must be the path of a unix "
                                                  "socket, or \"tcp:HOST:PORT\" (with a token)"},
        {"[proxy]\ntrusted_fields = [\"X-WebAuth-User\", \"Tailscale-*\", \"*\"]\n",
         "f:7:52: proxy.trusted_fields: '*' is no field's name: write \"X-WebAuth-User\", or \"Tailscale-*\" for all "
         "that "
         "begin so"},
        {"[proxy]\ntrusted_fields = [\"X_WebAuth_User\"]\n",
         "f:7:19: proxy.trusted_fields: 'X_WebAuth_User': fields of this name are never taken from a client (the "
         "application sees X-WebAuth-User as HTTP_X_WEBAUTH_USER)"},
        {"[proxy]\ntrusted_proxies = [\"10.0.0.0/8\", \"10.0.0.0/99\"]\n",
         "f:7:34: proxy.trusted_proxies: '10.0.0.0/99' is no network: write it as \"10.0.0.0/8\", \"fd00::/8\" or "
         "\"192.0.2.7\", or \"unix\" for all on unix sockets"},
    });
}

TEST(Parse, what_trusted_proxies_set_is_known_by_name) {
    const auto problems = [](const std::string& names) {
        std::string all;
        for (const auto& each : parse(least + "[proxy]\ntrusted_proxies_set = [" + names + "]\n", "f").problems)
            all += to_string(each) + "\n";
        return all;
    };
    EXPECT_EQ(problems("\"x-forwarded-for\", \"Traceparent\", \"X-SSL-*\", \"X-Forwarded-Tls-Client-Cert\", "
                       "\"X-Remote-User\", \"*\", \"X-*\""),
              "");
    EXPECT_EQ(problems(""), "");
    for (const auto& [wrong, meant] : {std::pair{"X-Forwarded-Hots", "X-Forwarded-Host"},
                                       {"X-Forwared-For", "X-Forwarded-For"},
                                       {"X-Forwarded-Protos", "X-Forwarded-Proto"},
                                       {"Trace-Parent", "traceparent"}}) {
        const auto told = problems("\"X-Real-IP\", \"" + std::string(wrong) + "\"");
        EXPECT_TRUE(told.starts_with("f:7:37: proxy.trusted_proxies_set: '" + std::string(wrong) + "' is no field"))
            << told;
        EXPECT_TRUE(told.ends_with("(did you mean \"" + std::string(meant) + "\"?)\n")) << told;
    }
    for (const char* wrong : {"X-WebAuth-User", "Cookie", "", "X-Forwarded-*-*", "X-Forwarded-For, X-Forwarded-Proto"})
        EXPECT_NE(problems('"' + std::string(wrong) + '"'), "") << wrong;
}

TEST(Parse, a_target_fits_into_its_head) {
    expect_after_least({
        {"[[listener]]\nmax_target = \"40KiB\"\n", "f:7:14: listener.max_target: '40KiB' does not fit into a head of "
                                                   "max_header = \"32KiB\": no request could be so "
                                                   "long"},
        {"[[listener]]\nmax_target = \"40KiB\"\nmax_header = \"64KiB\"\n", ""},
        {"[[listener]]\nmax_header = \"4KiB\"\n", ""},
    });
}

TEST(Parse, an_address_is_listened_on_once) {
    expect_after_least({
        {"[[listener]]\naddress = \":8080\"\n[[listener]]\naddress = \":8080\"\n",
         "f:9:11: listener.address: ':8080' is already taken by the listener on line 7"},
        {"[[listener]]\naddress = \"127.0.0.1:9180\"\n",
         "f:7:11: listener.address: '127.0.0.1:9180' is already taken by [admin] listen"},
        {"[[listener]]\naddress = \"[::]:9180\"\n",
         "f:7:11: listener.address: '[::]:9180' is already taken by [admin] listen"},
        {"[admin]\nlisten = \"[::]:9180\"\ntoken = \"0123456789abcdef0123\"\n[[listener]]\naddress = "
         "\"127.0.0.1:9180\"\n",
         "f:10:11: listener.address: '127.0.0.1:9180' is already taken by [admin] listen"},
        {"[[listener]]\naddress = \":8080\"\n[[listener]]\naddress = \"0.0.0.0:8080\"\n",
         "f:9:11: listener.address: '0.0.0.0:8080' is already taken by the listener on line 7"},
        {"[[listener]]\naddress = \"[::1]:8080\"\n[[listener]]\naddress = \"[0:0::1]:8080\"\n",
         "f:9:11: listener.address: '[0:0::1]:8080' is already taken by the listener on line 7"},
    });
}

TEST(Parse, a_port_may_be_listened_on_at_all_interfaces_and_at_one_of_them_and_by_both_families) {
    for (const std::string other : {"[::]:8080", "127.0.0.1:8080", "[::1]:8080", "0.0.0.0:8081"})
        EXPECT_TRUE(parse(least + "[[listener]]\naddress = \":8080\"\n[[listener]]\naddress = \"" + other + "\"\n", "f")
                        .problems.empty())
            << other;
}

TEST(Parse, a_field_that_the_access_log_does_not_know_is_told_with_what_was_meant) {
    auto problems = parse(least + "[log]\naccess_fields = [\"client\", \"stauts\", \"client\"]\n", "f").problems;
    ASSERT_EQ(problems.size(), 2u);
    EXPECT_TRUE(to_string(problems[0]).starts_with("f:7:28: log.access_fields: 'stauts' is no field"))
        << to_string(problems[0]);
    EXPECT_TRUE(to_string(problems[0]).ends_with("(did you mean \"status\"?)")) << to_string(problems[0]);
    EXPECT_EQ(to_string(problems[1]), "f:7:38: log.access_fields: 'client' stands in the list twice: once is enough");
}

TEST(Parse, routes_must_be_able_to_match) {
    expect_after_least({
        {"[[route]]\npath = \"api\"\n",
         "f:7:8: route.path: 'api': must begin with / (a prefix), =/ (exactly this path) or ~ (a regular expression)"},
        {"[[route]]\npath = \"/a?b\"\n", "f:7:8: route.path: '/a?b': a path holds no spaces, control characters, ? or "
                                         "#: the query is no part of what is matched"},
        {"[[route]]\npath = \"=/a//b\"\n",
         "f:7:8: route.path: '=/a//b': would never match: of several / in a row one is left"},
        {"[[route]]\npath = \"=/a/..\"\n",
         "f:7:8: route.path: '=/a/..': would never match: . and .. are resolved before"},
        {"[[route]]\npath = \"/100%/.well-known/..a\"\n", ""},
        {"[[route]]\npath = \"/.\"\n", ""},    // /.env, /.git
        {"[[route]]\npath = \"/a/..\"\n", ""}, // /a/..data
        {"[[route]]\nhost = \"example.org.\"\n",
         "f:7:8: route.host: would never match: the dot at the end of a host is "
         "dropped before (did you mean \"example.org\"?)"},
        {"[[route]]\nhost = \"a:80\"\n",
         "f:7:8: route.host: 'a:80' must be a host name without port, or \"*.example.org\""},
        {"[[route]]\nmethods = [\"get\"]\n",
         "f:7:12: route.methods: methods are written in capitals (did you mean \"GET\"?)"},
        {"[[route]]\nheaders = [\": x\"]\n",
         "f:7:12: route.headers: ': x': must begin with a field's name: \"NAME\", \"NAME: VALUE\" or \"NAME: ~REGEX\""},
        {"[[route]]\nheaders = [\"X_Beta\"]\n",
         "f:7:12: route.headers: 'X_Beta': fields of this name are never taken from a client"},
        {"[[route]]\n[[route.limit]]\n",
         "f:7:1: route.limit.rate: is missing: write how much is allowed, such as rate = \"100/s\" or "
         "inflight = 10"},
        {"[[route]]\n[[route.limit]]\ninflight = 3\n", ""},
        {"[[route]]\n[[route.limit]]\nrate = \"1/s\"\ncost = 5\nburst = 3\n",
         "f:9:8: route.limit.cost: a request that costs more than burst + 1 would never pass (did you mean burst = "
         "4?)"},
        {"[[route]]\n[[route.limit]]\nrate = \"1/s\"\nallow = [\"10.0.0.0/99\"]\n",
         "f:9:10: route.limit.allow: '10.0.0.0/99' is no network: write it as \"10.0.0.0/8\", \"fd00::/8\" or "
         "\"192.0.2.7\""},
        {"[[route]]\npath = \"/a\"\n[[route.limit]]\nname = \"api\"\nrate = \"1/s\"\n"
         "[[route]]\n[[route.limit]]\nname = \"api\"\nrate = \"2/s\"\n",
         "f:13:8: route.limit.name: the limit 'api' on line 8 has another key, rate, burst or shared: limits of one "
         "name share their counts"},
        {"[[route]]\n[[route.limit]]\nrate = \"100\"\n",
         "f:8:8: route.limit.rate: '100' is no rate: write a number above 0 and /s, /m or /h, such as \"100/s\""},
        {"[[route]]\n[[route.limit]]\nrate = \"1/s\"\nkey = \"ip\"\n",
         "f:9:7: route.limit.key: 'ip' must be client, path, label, header:NAME, cookie:NAME or query:NAME"},
        {"[[route]]\n[[route.limit]]\nrate = \"1/s\"\nkey = [\"path\", \"clinet\"]\n",
         "f:9:16: route.limit.key: 'clinet' must be client, path, label, header:NAME, cookie:NAME or query:NAME (did "
         "you mean "
         "\"client\"?)"},
        {"[[route]]\n[[route.limit]]\nrate = \"1/s\"\nkey = \"headers:X-Key\"\n",
         "f:9:7: route.limit.key: 'headers:X-Key' must be client, path, label, header:NAME, cookie:NAME or query:NAME "
         "(did "
         "you "
         "mean \"header:X-Key\"?)"},
        {"[[route]]\n[[route.limit]]\nrate = \"1/s\"\nkey = [\"client\", \"header:X_Api_Key\"]\n",
         "f:9:18: route.limit.key: 'header:X_Api_Key': fields of this name are never taken from a client"},
        {"[[route]]\n[[route.limit]]\nrate = \"1/s\"\nkey = \"header:x-plimsoll-reason\"\n",
         "f:9:7: route.limit.key: 'header:x-plimsoll-reason': fields of this name are never taken from a client"},
        {"[[route]]\n[[route.limit]]\nrate = \"1/s\"\nkey = [\"cookie:api_key\", \"query:api_key\"]\n", ""},
        {"[[route]]\n[[route.limit]]\nrate = \"0.01/h\"\nburst = 1000000\n",
         "f:9:9: route.limit.burst: at 0.01/h a burst of 1000000 is there again after more than 10 years: raise the "
         "rate or lower the burst"},
        {"[[route]]\n[[route.limit]]\nrate = \"0.00001/h\"\n",
         "f:8:8: route.limit.rate: at 0.00001/h a burst of 0 is there again after more than 10 years: raise the rate "
         "or "
         "lower the burst"},
        {"[[route]]\n[[route.limit]]\nrate = \"0.01/h\"\nburst = 700\n", ""},
        {"[[route]]\npriority = \"high\"\n",
         "f:7:12: route.priority: 'high' is not one of critical, normal, sheddable (did you mean \"critical\"?)"},
    });
    auto parsed = parse(least + "[[route]]\npath = \"~a(\"\n", "f");
    ASSERT_EQ(parsed.problems.size(), 1u);
    EXPECT_NE(parsed.problems[0].message.find("does not compile"), std::string::npos);
    const auto looking = parse(least + "[[route]]\npath = '~a(?=b)'\nheaders = ['X-A: ~(']\n", "f");
    ASSERT_EQ(looking.problems.size(), 2u);
    EXPECT_NE(looking.problems[0].message.find("look-around and back references do not exist"), std::string::npos);
    for (const auto& pattern :
         {std::string(100'000, '('), std::string("~((((a{99}){99}){99}){99})"), "~" + std::string(1023, '(')})
        EXPECT_EQ(parse(least + "[[route]]\npath = '" + pattern + "'\n", "f").problems.size(), 1u);
}

TEST(Parse, what_a_route_does_is_checked) {
    expect_after_least({
        {"[[route]]\nset_request_fields = { Content-Length = \"1\" }\n",
         "f:7:41: route.set_request_fields.Content-Length: 'Content-Length' belongs to the connection or frames the "
         "message: "
         "only the proxy may write it"},
        {"[[route]]\nremove_response_fields = [\"Transfer-Encoding\"]\n",
         "f:7:27: route.remove_response_fields: 'Transfer-Encoding' belongs to the connection or frames the message: "
         "only "
         "the proxy may write it"},
        {"[[route]]\nset_request_fields = { X_User = \"1\" }\n",
         "f:7:33: route.set_request_fields.X_User: 'X_User' cannot be told from another variable in WSGI: write it "
         "with '-'"},
        {"[[route]]\nset_request_fields = { X-Forwarded-For = \"1\" }\n",
         "f:7:42: route.set_request_fields.X-Forwarded-For: 'X-Forwarded-For' tells of the client, and is written by "
         "the "
         "proxy: see proxy.trusted_proxies and proxy.via"},
        {"[[route]]\nset_response_fields = { X-A = \"a\\r\\nSet-Cookie: b\" }\n",
         "f:7:31: route.set_response_fields.X-A: a field's value holds no control characters, and no space at its "
         "ends"},
        {"[[route]]\nstrip_prefix = \"/api/\"\n", "f:7:16: route.strip_prefix: '/api/' must be a plain path such as "
                                                  "\"/api\": it begins with a slash, ends with none, "
                                                  "and holds no escapes, no empty segments and no dots in front"},
        {"[[route]]\n[route.respond]\nbody = \"x\"\n",
         "f:7:1: route.respond.status: is missing: an answer needs one, such as status = 200"},
        {"[[route]]\n[route.respond]\nstatus = 204\nbody = \"x\"\n",
         "f:8:10: route.respond.status: 204 has no body: leave body and file out"},
        {"[[route]]\n[route.respond]\nstatus = 200\nfile = \"/does/not/exist\"\n",
         "f:9:8: route.respond.file: '/does/not/exist' cannot be read: No such file or directory"},
        {"[[route]]\n[route.redirect]\nto = \"/{path}\"\n", "f:8:6: route.redirect.to: '/{path}': would begin with two "
                                                            "slashes, which browsers take for another host: {path} "
                                                            "has its own"},
        {"[[route]]\n[route.redirect]\nto = \"https://x/{uri}\"\n",
         "f:8:6: route.redirect.to: 'https://x/{uri}': only {host}, {path} and {query} can be filled in, not {uri}"},
        {"[[route]]\n[route.redirect]\nto = \"javascript:x\"\n",
         "f:8:6: route.redirect.to: 'javascript:x': must begin with https://, http://, / or {path}"},
        {"[[route]]\n[route.redirect]\nto = \"/x\"\nstatus = 304\n",
         "f:9:10: route.redirect.status: must be 301, 302, 303, 307 or 308, is 304"},
        {"[[route]]\naffinity = \"session\"\n",
         "f:7:12: route.affinity: 'session' must be \"cookie:NAME\" or \"header:NAME\""},
        {"[[route]]\naffinity = \"header:X-Key\"\nset_affinity_cookie = true\n",
         "f:8:23: route.set_affinity_cookie: needs affinity = \"cookie:NAME\": there is no cookie to set"},
        {"[[listener]]\naddress = \"unix:/run/in.sock\"\nsocket_mode = \"0660\"\n", ""},
        {"[[listener]]\nsocket_mode = \"1777\"\n",
         "f:7:15: listener.socket_mode: '1777' is no mode: write four octal digits, from \"0000\" to \"0777\""},
        {"[[listener]]\nsocket_mode = \"660\"\n",
         "f:7:15: listener.socket_mode: '660' is no mode: write four octal digits, from \"0000\" to \"0777\""},
        {"[[listener]]\nsocket_mode = \"0688\"\n",
         "f:7:15: listener.socket_mode: '0688' is no mode: write four octal digits, from \"0000\" to \"0777\""},
        {"[[listener]]\nproxy_protocol = true\n",
         "f:7:18: listener.proxy_protocol: nobody may send the PROXY header: name the load balancers in "
         "proxy.trusted_proxies"},
        {"[[listener]]\nhealth_path = \"/-/ready\"\n", ""},
        {"[[listener]]\nhealth_path = \"ready\"\n",
         "f:7:15: listener.health_path: must begin with /: it is one path, as \"/-/ready\""},
        {"[[listener]]\nhealth_path = \"/a/../ready\"\n",
         "f:7:15: listener.health_path: would never match: . and .. are resolved before"},
        {"[[listener]]\nhealth_path = \"/%72eady\"\n",
         "f:7:15: listener.health_path: would never match: escapes are decoded before"},
        {"[[listener]]\nhealth_path = \"/ready?now\"\n",
         "f:7:15: listener.health_path: a path holds no spaces, control characters, ? or #: the query is no part of "
         "what is matched"},
        {"[proxy]\nstop_delay = \"11m\"\n", "f:7:14: proxy.stop_delay: must be from 0s to 10m, is 11m"},
        {"[proxy]\nvia = \"a b\"\n",
         "f:7:7: proxy.via: 'a b' must be a name without spaces, or empty for no Via at all"},
    });
    const std::string second = "[[pool]]\nname = \"b\"\n[pool.source]\nkind = \"gunicorn\"\n";
    EXPECT_EQ(all_of(parse(least + second +
                               "[[route]]\npool = \"b\"\n[[route]]\npath = \"=/ping\"\n[route.respond]\nstatus = 200\n"
                               "[[route]]\npool = \"app\"\npath = \"/x\"\n",
                           "f")),
              ""); // an answer of its own needs no pool
}

TEST(Parse, several_pools_need_routes_and_names_of_their_own) {
    const std::string second = "[[pool]]\nname = \"b\"\n[pool.source]\nkind = \"gunicorn\"\n";
    EXPECT_EQ(all_of(parse(least + second, "f")),
              "f: route: is missing: with more than one pool, a [[route]] must say which requests go to which pool\n");
    EXPECT_EQ(all_of(parse(least + second + "[[route]]\n", "f")),
              "f:10:1: route.pool: is missing: name one of the pools: app, b\n");
    EXPECT_EQ(all_of(parse(least + least + "[[route]]\npool = \"app\"\n", "f")),
              "f:7:8: pool.name: the pool on line 1 is called 'app' as well\n");
    EXPECT_EQ(
        all_of(parse("[[pool]]\nname = \"a/b\"\n[pool.source]\nkind = \"gunicorn\"\n", "f")),
        "f:2:8: pool.name: 'a/b' must be made of letters, digits, - and _, at most 64, a letter or digit first\n");
    EXPECT_EQ(all_of(parse("[[pool]]\n[pool.source]\nkind = \"gunicorn\"\n", "f")),
              "f:1:1: pool.name: is missing: routes, logs and commands call the pool by it\n");
}

TEST(Parse, a_source_has_what_its_kind_needs) {
    const std::string pool = "[[pool]]\nname = \"a\"\n[pool.source]\n";
    struct {
        const char *text, *expect;
    } cases[] = {
        {"kind = \"static\"\n",
         "f:3:1: pool.source: kind \"static\" needs the workers' addresses: addresses = [\"127.0.0.1:8001\"]\n"},
        {"kind = \"static\"\naddresses = [\"a:1\", \"b:0\", \"a:1\"]\n",
         "f:5:21: pool.source.addresses: 'b:0' needs a host and a port above 0\nf:5:28: pool.source.addresses: 'a:1' "
         "stands in the list twice\n"},
        {"kind = \"static\"\naddresses = \"a:1\"\ncommand = [\"a\"]\n",
         "f:6:11: pool.source.command: kind \"static\" starts nothing: write kind = \"command\" (or gunicorn, uvicorn, "
         "uwsgi) to start workers with it\n"},
        {"kind = \"command\"\n", "f:3:1: pool.source: kind \"command\" needs what to start: command = [\"uvicorn\", "
                                 "\"--uds\", \"{socket}\", \"app:app\"]\n"},
        {"kind = \"command\"\ncommand = [\"uvicorn\", \"app:app\"]\n",
         "f:5:11: pool.source.command: must tell each worker where to listen: put {socket} (a unix socket's path) or "
         "{port} into it\n"},
        {"kind = \"command\"\ncommand = [\"x\", \"--port={port}\"]\n", ""},
        {"kind = \"gunicorn\"\naddresses = [\"a:1\"]\n", "f:5:13: pool.source.addresses: belongs to kind = \"static\"; "
                                                         "with \"gunicorn\" each worker gets an address of its own\n"},
        {"kind = \"static\"\naddresses = \"a:1\"\nprotocol = \"uwsgi\"\n", ""},
        {"kind = \"gunicorn\"\nprotocol = \"uwsgi\"\n",
         "f:5:12: pool.source.protocol: belongs to kind = \"static\": what \"gunicorn\" speaks is known\n"},
        {"kind = \"gunicorn\"\ncommand = [\"\"]\n",
         "f:5:11: pool.source.command: the first word is the program, and it is empty\n"},
        {"kind = \"gunicorn\"\ncommand = [\"gunicorn\", \"app:app\"]\n", ""},
        {"kind = \"docker\"\n",
         "f:4:8: pool.source.kind: 'docker' is not one of static, command, gunicorn, uvicorn, uwsgi\n"},
    };
    for (const auto& c : cases) EXPECT_EQ(all_of(parse(pool + c.text, "f")), c.expect) << c.text;
}

TEST(Parse, a_path_with_an_escape_is_warned_of) {
    const auto warned = parse(least + "[[route]]\npath = \"/caf%C3%A9\"\n", "f").warnings;
    ASSERT_EQ(warned.size(), 1U);
    EXPECT_EQ(to_string(warned[0]).find("f:7:8: route.path: '/caf%C3%A9': paths are matched decoded"), 0U);
}

TEST(Parse, recycling_must_be_possible) {
    const std::string pool = "[[pool]]\nname = \"a\"\n[pool.source]\nkind = \"command\"\ncommand = "
                             "[\"{port}\"]\nworkers = 4\n[pool.recycle]\n";
    struct {
        const char *text, *expect;
    } cases[] = {
        {"soft_limit = \"95%\"\nhard_limit = \"80%\"\n",
         "f:8:14: pool.recycle.soft_limit: must be below hard_limit (80%), is 95%\n"},
        {"soft_limit = \"500MiB\"\nhard_limit = \"500MiB\"\n",
         "f:8:14: pool.recycle.soft_limit: must be below hard_limit (500MiB), is 500MiB\n"},
        {"soft_limit = \"500MiB\"\nhard_limit = \"80%\"\n", ""}, // not known before the limit is
        {"soft_limit = \"500MiB\"\nhard_limit = \"80%\"\n[pool.memory]\nlimit = \"512MiB\"\n",
         "f:8:14: pool.recycle.soft_limit: must be below hard_limit (80%), is 500MiB\n"},
        {"hard_limit = \"600MiB\"\n[pool.memory]\nlimit = \"512MiB\"\n",
         "f:8:14: pool.recycle.hard_limit: must not be above the worker's limit ([pool.memory] limit = 512MiB), is "
         "600MiB\n"},
        {"min_serving = 4\n", "f:8:15: pool.recycle.min_serving: must be below the number of workers (4), is 4: no "
                              "worker could ever be recycled\n"},
        {"min_serving = 3\n", ""},
        {"[pool.memory]\ninterval = \"20s\"\n", "f:9:12: pool.memory.interval: stale_after (10s) must be longer than "
                                                "interval (20s), or every reading would be too old\n"},
        {"[pool.capture]\ncommand = [\"py-spy\", \"{pdi}\"]\n",
         "f:9:22: pool.capture.command: '{pdi}' is none of {pid}, {worker}, {pool}, {directory} (did you mean "
         "{pid}?)\n"},
    };
    for (const auto& c : cases) EXPECT_EQ(all_of(parse(pool + c.text, "f")), c.expect) << c.text;
}

TEST(Parse, a_bound_lies_beyond_what_it_bounds) {
    expect_after_least({
        {"[pool.breaker]\nrest = \"60s\"\n", "f:7:8: pool.breaker.rest: rest (1m) must not be above longest_rest (30s) "
                                             "(did you mean longest_rest = \"1m\"?)"},
        {"[pool.breaker]\nlongest_rest = \"500ms\"\n",
         "f:7:16: pool.breaker.longest_rest: rest (1s) must not be above longest_rest (500ms) (did you mean "
         "longest_rest = \"1s\"?)"},
        {"[pool.breaker]\nrest = \"60s\"\nlongest_rest = \"60s\"\n", ""},
        {"[pool.queue]\ntarget = \"5s\"\n",
         "f:7:10: pool.queue.target: target (5s) must be below timeout (5s), after which nobody waits any more"},
        {"[pool.queue]\ntarget = \"5s\"\ntimeout = \"0s\"\n", ""},
    });
}

TEST(Parse, fields_that_say_what_a_client_wishes_can_be_sent_and_believed) {
    expect_after_least({
        {"[proxy]\ndeadline_header = \"X Wait\"\n",
         "f:7:19: proxy.deadline_header: 'X Wait' must be the name of a field, without a colon, or empty for none"},
        {"[proxy]\npriority_header = \"X-Priority:\"\n", "f:7:19: proxy.priority_header: 'X-Priority:' must be the "
                                                         "name of a field, without a colon, or empty for none"},
        {"[proxy]\npriority_header = \"x-request-timeout\"\n",
         "f:7:19: proxy.priority_header: 'x-request-timeout' is deadline_header as well: one field says one thing"},
        {"[proxy]\npriority_header = \"X_Priority\"\n",
         "f:7:19: proxy.priority_header: 'X_Priority': fields of this name are never taken from a client"},
        {"[proxy]\ndeadline_header = \"X-Plimsoll-Wait\"\n",
         "f:7:19: proxy.deadline_header: 'X-Plimsoll-Wait': fields of this name are never taken from a client"},
        {"[proxy]\ndeadline_header = \"\"\npriority_header = \"\"\n", ""},
    });
    const std::string named = least + "[proxy]\npriority_header = \"X-Priority\"\n";
    const auto nobody = parse(named, "f");
    EXPECT_EQ(all_of(nobody), "");
    ASSERT_EQ(nobody.warnings.size(), 1u);
    EXPECT_EQ(to_string(nobody.warnings[0]),
              "f:7:19: proxy.priority_header: is believed from nobody: name in trusted_proxies "
              "who may say how urgent a request is");
    EXPECT_TRUE(parse(named + "trusted_proxies = [\"10.0.0.0/8\"]\n", "f").warnings.empty());
}

TEST(Parse, a_line_or_a_floor_that_switches_something_off_is_a_warning) {
    const auto parsed = parse(least + "[pool.memory]\nload_line = 0.99\n[pool.breaker]\nfloor = 0\n", "f");
    EXPECT_EQ(all_of(parsed), "");
    ASSERT_EQ(parsed.warnings.size(), 2u);
    EXPECT_EQ(
        to_string(parsed.warnings[0]),
        "f:7:13: pool.memory.load_line: from 95% on only sheddable requests are shed, and late: write less, or mode "
        "= \"off\" to shed nobody");
    EXPECT_EQ(to_string(parsed.warnings[1]),
              "f:9:9: pool.breaker.floor: with a floor of 0 all workers may be passed over at once, and everybody is "
              "refused: write at least the share that one of them is");
    EXPECT_TRUE(parse(least + "[pool.memory]\nload_line = 0.94\n[pool.breaker]\nfloor = 0.1\n", "f").warnings.empty());
}

TEST(Parse, what_is_hardly_meant_is_a_warning_and_no_problem) {
    auto parsed = parse(least + "workers = 2\n[[route]]\n[[route]]\npath = \"/api\"\n[[pool]]\nname = "
                                "\"b\"\n[pool.source]\nkind = \"gunicorn\"\n",
                        "f");
    EXPECT_EQ(all_of(parsed), "f:7:1: route.pool: is missing: name one of the pools: app, b\nf:8:1: route.pool: is "
                              "missing: name one of the pools: app, b\n");
    parsed = parse(least + "workers = 2\n[[route]]\npool = \"app\"\n[[route]]\npath = \"/api\"\npool = "
                           "\"app\"\n[[pool]]\nname = \"b\"\n[pool.source]\nkind = \"gunicorn\"\n",
                   "f");
    EXPECT_EQ(all_of(parsed), "");
    std::string warnings;
    for (const auto& warning : parsed.warnings) warnings += to_string(warning) + "\n";
    EXPECT_EQ(warnings,
              R"(f:6:11: pool.source.workers: does nothing with kind "static": there are as many workers as addresses
f:9:1: route: is never reached: the first match wins, and the route / on line 7 matches all of it: put this one before it
f:12:1: pool: no route names the pool 'b': it gets no requests
)");
}

TEST(Load, a_file_that_cannot_be_read_is_one_problem) {
    EXPECT_EQ(all_of(load("/nonexistent/plimsoll.toml")),
              "/nonexistent/plimsoll.toml: cannot be opened: No such file or directory\n");
    EXPECT_EQ(all_of(load("/")), "/: cannot be read: Is a directory\n");
    EXPECT_EQ(load("/dev/zero").problems.size(), 1u);
}

TEST(Load, a_file_is_named_as_it_was_given) {
    std::string path = "/tmp/plimsoll-config-" + std::to_string(::getpid()) + ".toml";
    std::ofstream(path) << "x = 1\n" << least;
    EXPECT_EQ(all_of(load(path)), path + ":1:1: x: unknown key\n");
    std::remove(path.c_str());
}

} // namespace
