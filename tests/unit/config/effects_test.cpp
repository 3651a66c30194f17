// Settings that are legal and do nothing: a warning says where, and what to do.
#include <gtest/gtest.h>

#include "config/parse.hpp"
#include "unit/config/least.hpp"

using namespace plimsoll::config;

namespace {

std::string warnings_of(const std::string& text) {
    const auto parsed = parse(text, "f");
    std::string found;
    for (const auto& problem : parsed.problems) found += "PROBLEM " + to_string(problem) + "\n";
    for (const auto& warning : parsed.warnings) found += to_string(warning) + "\n";
    return found;
}
std::string after_least(const std::string& text) { return warnings_of(least + text); }

TEST(Effects, a_short_configuration_has_nothing_to_be_warned_of) { EXPECT_EQ(warnings_of(least), ""); }

TEST(Effects, what_stands_at_its_default_was_not_meant_to_do_anything) {
    EXPECT_EQ(after_least("[pool.queue]\nsize = 0\ntimeout = \"5s\"\n[pool.health]\nrise = 2\nfall = 3\n"), "");
}

TEST(Effects, redis_without_a_shared_limit_is_named_with_what_would_use_it) {
    const std::string redis = "[redis]\nurl = \"redis://127.0.0.1:6379/0\"\n",
                      limit = "[[route]]\n[[route.limit]]\nrate = \"1/s\"\n";
    const std::string told =
        "f:7:7: redis.url: has no effect: no [[route.limit]] is counted there. Write shared = true at "
        "those that all proxies count together, or leave [redis] out\n";
    EXPECT_EQ(after_least(redis), told);
    EXPECT_EQ(after_least(redis + limit), told);
    EXPECT_EQ(after_least(redis + "proxies = 1\n" + limit + "shared = true\n"), "");
    EXPECT_EQ(after_least(redis + limit + "shared = true\nmode = \"off\"\n"), told);
}

TEST(Effects, how_many_proxies_share_a_limit_is_to_be_said_where_each_falls_back_on_its_share) {
    const std::string redis = "[redis]\nurl = \"redis://127.0.0.1:6379/0\"\n",
                      limit = "[[route]]\n[[route.limit]]\nrate = \"1/s\"\nshared = true\n";
    const std::string told = "f:6:1: redis.proxies: is not written, so while Redis is away each proxy takes the whole "
                             "rate of the shared limits for its "
                             "share: write how many proxies share them, or proxies = 1 if this one is alone\n";
    EXPECT_EQ(after_least(redis + limit), told);
    EXPECT_EQ(after_least(redis + "on_failure = \"local\"\n" + limit), told);
    EXPECT_EQ(after_least(redis + "proxies = 1\n" + limit), "");
    EXPECT_EQ(after_least(redis + "proxies = 3\n" + limit), "");
    for (const auto* how : {"open", "closed"})
        EXPECT_EQ(after_least(redis + "on_failure = \"" + how + "\"\n" + limit), "") << "nobody has a share then";
}

TEST(Effects, who_is_trusted_by_nobody_sets_nothing) {
    const std::string set = "trusted_proxies_set = [\"X-Forwarded-For\"]\n";
    EXPECT_EQ(after_least("[proxy]\n" + set),
              "f:7:23: proxy.trusted_proxies_set: has no effect: nobody is believed: name "
              "your proxies in trusted_proxies\n");
    EXPECT_EQ(after_least("[proxy]\ntrusted_proxies = [\"10.0.0.0/8\"]\n" + set), "");
}

TEST(Effects, who_begins_no_trace_marks_none) {
    const std::string share = "trace_share = 0.1\n";
    EXPECT_EQ(after_least("[proxy]\ntraceparent = \"pass\"\n" + share),
              "f:8:15: proxy.trace_share: has no effect: with traceparent = \"pass\" no trace begins here\n");
    EXPECT_EQ(after_least("[proxy]\n" + share), "");
}

TEST(Effects, a_queue_for_nobody_has_no_timeout) {
    EXPECT_EQ(after_least("[pool.queue]\nsize = 0\ntimeout = \"2s\"\n"),
              "f:8:11: pool.queue.timeout: has no effect: with size = 0 nobody waits: who finds no slot is refused\n");
    EXPECT_EQ(after_least("[pool.queue]\nsize = 1\ntimeout = \"2s\"\n"), "");
}

TEST(Effects, slots_that_are_known_are_not_learned) {
    const std::string adaptive = "[pool.adaptive]\nmax = 64\n";
    EXPECT_EQ(
        after_least("slots = 4\n" + adaptive),
        "f:8:7: pool.adaptive.max: has no effect: source.slots = 4 says what a worker takes at once: leave one of "
        "them out\n");
    EXPECT_EQ(after_least(adaptive), "");
}

TEST(Effects, slots_are_not_learned_where_that_is_off) {
    EXPECT_EQ(
        after_least("[pool.adaptive]\nmode = \"off\"\nmin = 2\nmax = 64\n"),
        "f:8:7: pool.adaptive.min: has no effect: with mode = \"off\" nothing is learned, and a worker that nobody "
        "tells the slots of has 64\n"
        "f:9:7: pool.adaptive.max: has no effect: with mode = \"off\" nothing is learned, and a worker that nobody "
        "tells the slots of has 64\n");
    EXPECT_EQ(after_least("[pool.adaptive]\nmode = \"shadow\"\nmin = 2\n"), "") << "it is learned, and told";
}

TEST(Effects, a_limit_that_lets_every_address_by_limits_nobody) {
    const std::string limit = "[[route]]\n[[route.limit]]\nrate = \"1/s\"\nallow = ";
    const std::string told = "f:9:9: route.limit.allow: these are all addresses there are: nobody is limited\n";
    EXPECT_EQ(after_least(limit + "[\"0.0.0.0/0\", \"::/0\"]\n"), told);
    EXPECT_EQ(after_least(limit + "[\"::/0\"]\n"), told) << "IPv4 is a part of IPv6 here";
    EXPECT_EQ(after_least(limit + "[\"0.0.0.0/0\", \"fd00::/8\"]\n"), "");
    EXPECT_EQ(after_least(limit + "[\"::/0\"]\n[[listener]]\naddress = \"unix:/run/p.sock\"\n"), "")
        << "who comes by the socket has no address";
}

TEST(Effects, a_mode_is_that_of_a_file) {
    const std::string mode = "socket_mode = \"0600\"\n";
    EXPECT_EQ(after_least("[[listener]]\n" + mode),
              "f:7:15: listener.socket_mode: has no effect: only a unix socket is a file\n");
    EXPECT_EQ(after_least("[[listener]]\naddress = \"unix:/run/p.sock\"\n" + mode), "");
    const std::string trusted = "[proxy]\ntrusted_proxies = [\"unix\"]\n[[listener]]\naddress = \"unix:/run/p.sock\"\n";
    EXPECT_NE(after_least(trusted).find("f:9:11: listener.address: everybody on this host"), std::string::npos)
        << after_least(trusted);
    EXPECT_EQ(after_least(trusted + mode), "");
}

TEST(Effects, a_request_that_may_take_longer_than_the_proxy_waits_when_it_stops) {
    const std::string deadline = "[[route]]\ndeadline = \"90s\"\n";
    EXPECT_EQ(after_least(deadline),
              "f:7:12: route.deadline: requests may take 90s, but get 30s to finish when the proxy "
              "stops, and are cut then: make proxy.stop_timeout as long\n");
    EXPECT_EQ(
        after_least("[proxy]\nstop_timeout = \"20s\"\n" + deadline),
        "f:7:16: proxy.stop_timeout: requests may take 90s (line 9), but get 20s to finish when the proxy stops, and "
        "are cut then: make proxy.stop_timeout as long\n");
    EXPECT_EQ(after_least("[proxy]\nstop_timeout = \"90s\"\n" + deadline), "");
    EXPECT_EQ(after_least("[proxy]\nstop_timeout = \"0s\"\n" + deadline), "") << "that was meant";
    EXPECT_EQ(after_least("[proxy]\nstop_timeout = \"20s\"\n"), "") << "nobody wrote how long a request takes";
    const std::string patient = "[pool.upstream]\nresponse_timeout = \"2m\"\n";
    EXPECT_NE(after_least(patient), "");
    EXPECT_EQ(after_least(patient + "deadline = \"25s\"\n"), "") << "the deadline ends it before";
}

TEST(Effects, memory_that_nobody_can_read_bounds_nothing) {
    const std::string
        elsewhere = "[[pool]]\nname = \"app\"\n[pool.source]\nkind = \"static\"\naddresses = [\"192.0.2.7:8001\"]\n",
        memory = "[pool.memory]\nlimit = \"1GiB\"\n", alone = "[proxy]\ncontrol = []\n";
    EXPECT_EQ(
        warnings_of(alone + elsewhere + memory),
        "f:9:9: pool.memory.limit: has no effect: nobody can read the memory of workers on other machines: let their "
        "agents dial in over proxy.control = \"tcp:HOST:PORT\"\n");
    EXPECT_NE(warnings_of(alone + elsewhere + "[pool.memory]\nmode = \"enforce\"\n"), "");
    EXPECT_NE(warnings_of(alone + elsewhere + "[pool.recycle]\nsoft_limit = \"1GiB\"\n"), "");
    EXPECT_EQ(warnings_of(elsewhere + memory), "") << "an agent may dial in";
    EXPECT_EQ(warnings_of(alone + elsewhere), "") << "nothing was asked for";
}

TEST(Effects, each_part_that_is_off_names_the_keys_that_wait_for_it) {
    const struct {
        const char *text, *told;
    } cases[] = {
        {"[[route]]\n[[route.limit]]\ninflight = 2\nburst = 3\n",
         "f:9:9: route.limit.burst: has no effect: it belongs to a rate, and there is none\n"},
        {"[[route]]\n[[route.limit]]\nrate = \"1/s\"\nkey = \"path\"\nipv6_prefix = 48\n",
         "f:10:15: route.limit.ipv6_prefix: has no effect: the limit does not count by client\n"},
        {"[[route]]\nstream = true\n[route.respond]\nstatus = 204\n",
         "f:7:10: route.stream: has no effect: the route answers itself, and no worker is asked\n"},
        {"[pool.memory]\nmode = \"off\"\nload_line = 0.7\n",
         "f:8:13: pool.memory.load_line: has no effect: with mode = \"off\" nobody is shed\n"},
        {"[pool.memory]\nmode = \"shadow\"\n[pool.recycle]\nfutile_shedding = false\n",
         "f:9:19: pool.recycle.futile_shedding: has no effect: with memory.mode = \"shadow\" no request is refused for "
         "memory\n"},
        {"[pool.capture]\nenabled = false\ntrace_frames = 9\n",
         "f:8:16: pool.capture.trace_frames: has no effect: with enabled = false nothing is captured\n"},
        {"[pool.capture]\nenabled = false\nremote = false\n",
         "f:8:10: pool.capture.remote: has no effect: with enabled = false nothing is captured\n"},
        {"[pool.capture]\ntrace = false\ntrace_requests = 9\n",
         "f:8:18: pool.capture.trace_requests: has no effect: with trace = false no recycle is preceded by one\n"},
        {"[pool.leak]\nexperiments = false\nexperiment_budget = 5000\n",
         "f:8:21: pool.leak.experiment_budget: has no effect: with experiments = false there are none\n"},
        {"[pool.breaker]\nmode = \"off\"\nroutes = \"off\"\nconsecutive = 9\n",
         "f:9:15: pool.breaker.consecutive: has no effect: mode and routes are \"off\"\n"},
        {"[pool.retry]\nmode = \"off\"\nshare = 0.1\n",
         "f:8:9: pool.retry.share: has no effect: with mode = \"off\" there is no budget, and every retry is sent\n"},
        {"[pool.queue]\ntimeout = \"0s\"\ntarget = \"20ms\"\n",
         "f:8:10: pool.queue.target: has no effect: with timeout = \"0s\" nobody waits so long\n"},
        {"[pool.health]\nfall = 9\n",
         "f:7:8: pool.health.fall: has no effect: without an interval only new workers are asked\n"},
        {"[log]\naccess_sample = 0.1\n",
         "f:7:17: log.access_sample: has no effect: there is no access log: write access = true\n"},
        {"[log]\ntrace_size = \"2MiB\"\n",
         "f:7:14: log.trace_size: has no effect: there is no trace: write trace = \"FILE\"\n"},
    };
    for (const auto& each : cases) {
        SCOPED_TRACE(each.text);
        EXPECT_EQ(after_least(each.text), each.told);
    }
}

TEST(Effects, a_regular_expression_for_every_path_hides_what_is_behind_it_as_a_slash_does) {
    EXPECT_NE(
        after_least("[[route]]\npath = \"~.*\"\n[[route]]\npath = \"/api\"\n").find("f:8:1: route: is never reached"),
        std::string::npos);
    EXPECT_EQ(after_least("[[route]]\npath = \"~^/a\"\n[[route]]\npath = \"/api\"\n"), "");
}

TEST(Effects, a_prefix_hides_whatever_begins_with_it) {
    const auto after = [](const std::string& earlier, const std::string& later) {
        return after_least("[[route]]\npath = \"" + earlier + "\"\n[[route]]\npath = \"" + later + "\"\n");
    };
    EXPECT_EQ(
        after("/lc", "/lcost"),
        "f:8:1: route: is never reached: the first match wins, and the route /lc on line 6 matches all of it: put "
        "this one before it\n");
    EXPECT_NE(after("/lc", "/lc/ost"), "");
    EXPECT_NE(after("/lc", "=/lcost"), "");
    EXPECT_NE(after("/lc/", "/lc/ost"), "");
    EXPECT_EQ(after("/lc/", "/lc"), "");
    EXPECT_EQ(after("/lcost", "/lc"), "");
    EXPECT_EQ(after("=/lc", "/lcost"), "");
    EXPECT_EQ(after("~^/lc", "~^/lc/ost|/other"), "") << "what follows a regular expression need not narrow it";
}

TEST(Effects, of_a_configuration_with_problems_only_those_are_told) {
    EXPECT_EQ(after_least("[pool.queue]\nsize = 0\ntimeout = \"2s\"\nx = 1\n"),
              "PROBLEM f:9:1: pool.queue.x: unknown key\n");
}

} // namespace
