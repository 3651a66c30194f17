// What people write who come from another program, or from another file format: told with what to write here.
#include <algorithm>

#include <gtest/gtest.h>

#include "config/parse.hpp"
#include "unit/config/least.hpp"

using namespace plimsoll::config;

namespace {

std::string told_of(const std::string& text) {
    const auto parsed = parse(text, "f");
    std::string found;
    for (const auto& problem : parsed.problems) found += to_string(problem) + "\n";
    for (const auto& warning : parsed.warnings) found += "WARNING " + to_string(warning) + "\n";
    return found;
}
struct Advice {
    std::string text, told; // after the least configuration
};
void expect_advice(std::initializer_list<Advice> cases) {
    for (const auto& [text, told] : cases) EXPECT_EQ(told_of(least + text), told + "\n") << text;
}
void expect_advice_part(const std::string& text, const std::string& part) {
    const auto told = told_of(text);
    EXPECT_NE(told.find(part), std::string::npos) << text << "\n" << told;
    EXPECT_EQ(std::ranges::count(told, '\n'), 1) << text << "\n" << told;
}

TEST(Advice, a_key_has_a_home_where_only_one_section_has_it_and_that_is_a_relative) {
    expect_advice({
        {"[pool.retry]\ntimeout = \"5s\"\n", "f:7:1: pool.retry.timeout: unknown key"},
        {"[pool.retry]\nprefix = \"a\"\n", "f:7:1: pool.retry.prefix: unknown key"},
        {"[[route]]\nthreads = 4\n", "f:7:1: route.threads: unknown key"},
        {"[[route]]\nrate = \"1/s\"\n", "f:7:1: route.rate: unknown key here: it belongs in [[route.limit]]"},
        {"[proxy]\nmax_body = 1000\n", "f:7:1: proxy.max_body: unknown key here: it belongs in [[listener]]"},
        {"[recycle]\nsoft_limit = \"80%\"\n",
         "f:6:2: recycle: unknown key here: it is a part of another: write [pool.recycle]"},
        {"[maintenance]\nenabled = true\n",
         "f:6:2: maintenance: unknown key here: it is a part of another: write [pool.maintenance] or "
         "[route.maintenance]"},
        {"[pool.upstream]\ntimeout = \"5s\"\n",
         "f:7:1: pool.upstream.timeout: unknown key: write connect_timeout, response_timeout (to the head of the "
         "answer) or read_timeout"},
        {"[pool.health]\nstatus = 200\n", "f:7:1: pool.health.status: unknown key: write expect = \"200\""},
    });
}

TEST(Advice, words_of_other_programs_are_known) {
    const std::string source = "pool.source.", listener = "[[listener]]\n";
    const auto no_tls = "Plimsoll speaks no TLS to clients: let a load balancer or a proxy in front of it (nginx, "
                        "HAProxy, Caddy) end it, and name that one in [proxy] trusted_proxies";
    expect_advice({
        {listener + "tls = true\n", "f:7:1: listener.tls: unknown key: " + std::string(no_tls)},
        {"[tls]\ncert = \"x\"\n", "f:6:2: tls: unknown key: " + std::string(no_tls)},
        {"[redis]\ntls = true\n",
         "f:7:1: redis.tls: unknown key: write url = \"rediss://HOST:PORT\", and ca_file for an "
         "authority of your own"},
        {listener + "listen = \":80\"\n", "f:7:1: listener.listen: unknown key (did you mean address?)"},
        {listener + "client_max_body_size = \"1m\"\n",
         "f:7:1: listener.client_max_body_size: unknown key: write max_body in [[listener]]"},
        {"max_requests = 100\n",
         "f:6:1: pool.source.max_requests: unknown key: belongs into the server's own command "
         "(gunicorn --max-requests); Plimsoll recycles workers by their memory: [pool.recycle]"},
        {"env = { A = \"1\" }\n", "f:6:1: pool.source.env: unknown key (did you mean environment?)"},
        {"[log]\nerror_log = \"x\"\n", "f:7:1: log.error_log: unknown key: write file in [log]"},
        {"[[route]]\nuri = \"/a\"\n", "f:7:1: route.uri: unknown key (did you mean path?)"},
        {"[[route]]\n[route.redirect]\nto = \"/x\"\ncode = 301\n",
         "f:9:1: route.redirect.code: unknown key (did you mean status?)"},
        {"[http]\n",
         "f:6:2: http: unknown key: there is no such section: [[listener]], [[route]] and [[pool]] stand at "
         "the top of the file"},
    });
    expect_advice_part(least + "bind = \":80\"\n", "a worker says in its own `command` where it listens");
    expect_advice_part(least + "threads = 4\n", "the server's own `command` says how many threads");
}

TEST(Advice, a_word_that_stands_for_a_key_does_not_leave_it_missing) {
    expect_advice_part("[[pool]]\nname = \"a\"\n[pool.source]\nservers = [\"a:1\"]\n", "write addresses = ");
    expect_advice_part("[[pool]]\nname = \"a\"\nservers = [\"a:1\"]\n", "write addresses in [pool.source]");
    expect_advice_part("[[upstream]]\nname = \"a\"\n", "workers stand in a pool: [[pool]] with a name");
    expect_advice_part("[[backend]]\nname = \"a\"\n", "workers stand in a pool");
    expect_advice_part(least + "[[frontend]]\nbind = \":80\"\n", "a [[listener]] with an address");
}

TEST(Advice, what_belongs_to_a_list_stands_after_its_own_header) {
    expect_advice(
        {{"[[route.limit]]\nrate = \"1/s\"\n", "f:6:1: route: a [[route]] must stand before its [[route.limit]]"},
         {"[route.limit]\nrate = \"1/s\"\n", "f:6:1: route: a [[route]] must stand before its [route.limit]"},
         {"[[route.limit]]\nrate = \"1/s\"\n[[route]]\n", "f:6:1: a [[route]] must stand before its [[route.limit]]"}});
    const std::string source = "[pool.source]\naddresses = \"a:1\"\n";
    EXPECT_EQ(told_of(source), "f:1:1: pool: a [[pool]] (with a name) must stand before its [pool.source]\n");
    EXPECT_EQ(told_of("# mine\n" + source + "[[pool]]\nname = \"a\"\n"),
              "f:2:1: a [[pool]] (with a name) must stand before its [pool.source]\n");
    EXPECT_EQ(told_of("[pool]\nname = \"a\"\n[[pool]]\nname = \"b\"\n"),
              "f:1:1: there may be several: write it with double brackets, [[pool]]\n");
    EXPECT_EQ(told_of("[admin]\n[[admin]]\n").find("there may be several"), std::string::npos);
}

TEST(Advice, a_section_that_stands_twice_names_the_first_of_its_pool) {
    EXPECT_EQ(told_of(least + "[pool.queue]\n[[pool]]\nname = \"b\"\n[pool.queue]\n\n[pool.queue]\n"),
              "f:11:1: [pool.queue] stands on line 9 already: keep one of them\n");
}

TEST(Advice, slips_of_toml_are_told_with_what_would_be_right) {
    expect_advice_part("[[route]]\npath = \"~^/a\\.b\"\n", "single quotes: '~^/v1\\.0/'");
    expect_advice_part("[[listener]]\nsocket_mode = 0660\n", "write it in quotes, as socket_mode = \"0660\"");
    for (const auto* value : {"yes", "no", "on", "off", "True"})
        expect_advice_part("[log]\naccess = " + std::string(value) + "\n", "write true or false");
    expect_advice_part("x = \u201ca\u201d\n", "straight quotes");
    for (const auto* value : {"30s", "80%", "/api", "10.0.0.1:80"})
        expect_advice_part("x = " + std::string(value) + "\n", "stands in quotes");
    expect_advice_part("worker_processes 1;\n", "looks like nginx's syntax");
    expect_advice_part("server {\n}\n", "looks like nginx's syntax");
    expect_advice_part("# mine\nfrontend web\n  bind *:80\n", "looks like HAProxy's syntax");
    expect_advice_part("pool:\n  - name: a\n", "looks like YAML");
    EXPECT_EQ(told_of("nonsense 1\n"), "f:1:10: Error while parsing key-value pair: expected '=', saw '1'\n");
}

TEST(Advice, wildcards_of_others_in_a_path_are_warned_of) {
    const auto path = [](const std::string& text) { return "[[route]]\npath = '" + text + "'\n"; };
    expect_advice(
        {{path("/api/*"), "WARNING f:7:8: route.path: '/api/*': * stands for itself in a path: each path is a "
                          "prefix, so write \"/api/\" for all that begin so"},
         {path("/users/{id}"),
          "WARNING f:7:8: route.path: '/users/{id}': {} stands for itself in a path: write ~ and a regular "
          "expression, such as '~^/users/[^/]+/orders'"},
         {path("=/a/*/b"), "WARNING f:7:8: route.path: '=/a/*/b': * stands for itself in a path: write ~ and a "
                           "regular expression, such as '~^/users/[^/]+/orders'"}});
    for (const auto* fine : {"~^/a.*", "~^/a{2}", "/a{b"}) EXPECT_EQ(told_of(least + path(fine)), "") << fine;
}

TEST(Advice, no_body_at_all_is_hardly_meant) {
    expect_advice({{"[[listener]]\nmax_body = 0\n",
                    "WARNING f:7:12: listener.max_body: refuses every request with a body (413): 0 is no \"any size\" "
                    "here. Write the size that you allow, such as \"100GiB\""}});
}

} // namespace
