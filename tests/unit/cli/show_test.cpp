#include "cli/show.hpp"

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

#include "cli/table.hpp"

using namespace plimsoll::cli;
using namespace std::chrono_literals;

namespace {

boost::json::value json(std::string_view text) { return boost::json::parse({text.data(), text.size()}); }
// 2026-03-01T02:14:05Z
const Style plain{.colours = false, .now = WallTime{} + 1'772'331'245s};

TEST(Table, aligns_words_left_and_numbers_right) {
    Table table({"NAME", ">COUNT", "STATE"});
    table.row({"a", "5", "serving"});
    table.row({"longer", "1234567", "x"});
    EXPECT_EQ(table.text(false), "NAME      COUNT  STATE\n"
                                 "a             5  serving\n"
                                 "longer  1234567  x\n");
}

TEST(Table, counts_neither_colours_nor_bytes_as_width) {
    Table table({"NAME", "STATE"});
    table.row({"gr\xc3\xbc\xc3\x9f", {"up", Colour::green}});
    table.row({"abcd", {"down", Colour::red}});
    EXPECT_EQ(table.text(false), "NAME  STATE\ngr\xc3\xbc\xc3\x9f  up\nabcd  down\n");
    EXPECT_NE(table.text(true).find("gr\xc3\xbc\xc3\x9f  \x1b[32mup\x1b[0m\n"), std::string::npos);
}

TEST(Printable, nothing_from_elsewhere_speaks_to_the_terminal) {
    EXPECT_EQ(printable("a\x1b[2Jb\nc\td"), "a?[2Jb c d");
    EXPECT_EQ(printable("\xff\xc3z"), "??z");
    EXPECT_EQ(printable("\xc2\x9b"), "?");
    EXPECT_EQ(printable("\xe2\x80\xae"), "?");
    EXPECT_EQ(printable("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
}

TEST(Facts, what_is_missing_or_of_another_type_is_not_there) {
    auto value = json(
        R"({"a":{"b":1},"n":null,"s":"x","t":"2026-03-01T02:14:05.500Z","u":1772331245,"bad":"2026-99-01T00:00:00Z"})");
    Facts facts(&value);
    EXPECT_EQ(facts["a"]["b"].number(), 1.0);
    EXPECT_FALSE(facts["a"]["b"]["c"]["d"].known());
    EXPECT_FALSE(facts["n"].known());
    EXPECT_FALSE(facts["s"].number());
    EXPECT_TRUE(facts["s"].list().empty());
    EXPECT_EQ(facts["t"].time(), plain.now + 500ms);
    EXPECT_EQ(facts["u"].time(), plain.now);
    EXPECT_FALSE(facts["bad"].time());
    EXPECT_FALSE(facts["s"].time());
    EXPECT_EQ(bytes_text(facts["n"]), "-");
    EXPECT_EQ(moment_text(facts["t"]), "2026-03-01 02:14:05 UTC");
}

TEST(Length, is_told_in_two_units_at_most) {
    EXPECT_EQ(length_text(41ms), "41 ms");
    EXPECT_EQ(length_text(4200ms), "4.2 s");
    EXPECT_EQ(length_text(192s), "3m 12s");
    EXPECT_EQ(length_text(2h + 5min), "2h 5m");
    EXPECT_EQ(length_text(99h), "4d 3h");
}

TEST(Workers, are_rows_and_unknown_is_a_dash) {
    auto value = json(R"({"workers":[
      {"id":"app-1","pool":"app","pid":4711,"generation":3,"state":"serving","addressable":true,"started_at":"2026-03-01T02:10:53Z",
       "requests":1234,"in_flight":1,"slots":1,"breaker":{"state":"tripped","trips":2},"takes":"critical",
       "memory":{"anon_bytes":104857600,"limit_bytes":536870912,"pressure":0.195}},
      {"id":"app-2","pool":"app","pid":null,"generation":1,"state":"starting","addressable":false,"advice":"install plimsoll-agent",
       "started_at":null,"requests":0,"in_flight":0,"slots":0,"memory":{"anon_bytes":null,"rss_bytes":null,"limit_bytes":null,"pressure":null}},
      {"id":"app-3","pool":"app","pid":null,"generation":1,"state":"warming","addressable":true,"advice":"connection refused",
       "started_at":null,"requests":0,"in_flight":0,"slots":0,"memory":{"anon_bytes":null,"rss_bytes":null,"limit_bytes":null,"pressure":null}}]})");
    EXPECT_EQ(show_workers(Facts(&value), plain),
              "WORKER  STATE     GEN   PID     MEMORY      LIMIT  USED  REQUESTS  BUSY      UP\n"
              "app-1   serving     3  4711  100.0 MiB  512.0 MiB   20%      1234   1/1  3m 12s\n"
              "app-2   starting    1     -          -          -     -         0   0/-       -\n"
              "app-3   warming     1     -          -          -     -         0   0/-       -\n"
              "\n"
              "! app-1 fails and is passed over: its breaker is tripped\n"
              "! app-1 is near its limit: while others have room it is given critical requests alone\n"
              "! app-2 has no address of its own: install plimsoll-agent\n"
              "! app-3 is not ready: connection refused\n");
    auto none = json(R"({"workers":[]})");
    EXPECT_EQ(show_workers(Facts(&none), plain), "no workers\n");
}

TEST(Workers, colours_tell_states_and_pressure_apart) {
    auto value = json(R"({"workers":[{"id":"a","state":"stuck","memory":{"pressure":0.9}}]})");
    auto text = show_workers(Facts(&value), {.colours = true, .now = plain.now});
    EXPECT_NE(text.find("\x1b[31mstuck\x1b[0m"), std::string::npos);
    EXPECT_NE(text.find("\x1b[33m90%\x1b[0m"), std::string::npos);
    EXPECT_EQ(show_workers(Facts(&value), plain).find('\x1b'), std::string::npos);
}

TEST(Status, tells_pools_and_what_is_wrong) {
    auto value = json(
        R"({"version":"0.1.0","started_at":"2026-03-01T00:09:05Z","ready":false,"reasons":["pool b: no worker serves"],
      "listeners":["0.0.0.0:8080"],"traffic":{"requests":10,"refusals":1,"server_errors":0,"connections":2},
      "store":{"incidents":3,"problem":"no space left"},
      "gates":[{"pool":"b","overloaded":true,"memory_shedding":true,"memory_pressure":0.91,"stall_shedding":true,"shedding_futile":false},
               {"pool":"c","overloaded":false,"memory_shedding":true,"shedding_futile":true},
               {"pool":"app","overloaded":false,"memory_shedding":false,"stall_shedding":false,"shedding_futile":false,"breakers":[{"route":"/","state":"passing","trips":3},{"route":"/b","state":"tripped","trips":1}]}],
      "redis":{"server":"redis://db:6379","state":"tripped","problem":"no answer within 5ms","on_failure":"local"},
      "pools":[{"name":"app","source":"gunicorn","serving":4,"min_serving":3,"worker_count":4,"in_flight":2,"slots":4,"queued":0,
                "recycling":null,"alert":null,"recycles":{"last_hour":2,"max_per_hour":60},"deaths":1,"ailing":1},
               {"name":"b","source":"command","serving":0,"min_serving":1,"worker_count":2,"in_flight":0,"slots":2,"queued":7,
                "recycling":"b-1","alert":"the successor did not start","recycles":{"last_hour":0,"max_per_hour":60},"deaths":0}]})");
    EXPECT_EQ(show_status(Facts(&value), plain),
              "plimsoll 0.1.0, up 2h 5m, not ready, listening on 0.0.0.0:8080\n"
              "10 requests, 1 refused, 0 server errors, 2 connections open\n"
              "\n"
              "POOL  SOURCE    SERVING  WORKERS  BUSY  SLOTS  QUEUED  RECYCLING  RECYCLES/H  DEATHS\n"
              "app   gunicorn        4        4     2      4       0  -                2/60       1\n"
              "b     command         0        2     0      2       7  b-1              0/60       0\n"
              "\n"
              "! pool b: no worker serves\n"
              "! app: 1 of 4 workers fail their health checks (plimsoll workers tells which)\n"
              "! b: the successor did not start\n"
              "! b: overloaded: it is asked for more than its workers can do\n"
              "! b: above its load line: memory is at 91% of its limit\n"
              "! b: tasks stand still for want of memory\n"
              "! c: above its load line, and refusing requests did not help: everybody is served\n"
              "! app: the route /b fails everywhere: its breaker is tripped\n"
              "! shared limits are local: redis://db:6379: no answer within 5ms\n"
              "! incidents: no space left\n");
}

TEST(Status, tells_the_limits_in_force_and_whom_they_refused) {
    auto value = json(R"({"version":"0.1.0","pools":[],"limits":[
      {"pool":"app","route":"/","limit":"client","key":["client"],"rate":"100/s","burst":20,"cost":1,"inflight":null,"mode":"enforce","shared":true,
       "passed":500,"refused":7,"shadow":0},
      {"pool":"app","route":"/reports","limit":"label","key":["label"],"rate":null,"burst":0,"cost":1,"inflight":4,"mode":"shadow","shared":false,
       "passed":5,"refused":0,"shadow":3},
      {"pool":"old","route":"/","limit":"client","passed":1,"refused":0,"shadow":0}]})");
    EXPECT_EQ(show_status(Facts(&value), plain),
              "plimsoll 0.1.0, up -\n"
              "\n"
              "no pools\n"
              "\n"
              "LIMIT   POOL  ROUTE      RATE  BURST  AT ONCE  MODE     COUNTED   PASSED  REFUSED\n"
              "client  app   /         100/s     20        -  enforce  in Redis     500        7\n"
              "label   app   /reports      -      -        4  shadow   here           5        3\n");
}

TEST(Incidents, are_rows_with_their_verdicts) {
    auto value = json(
        R"({"incidents":[{"id":"i-000042","pool":"app","worker":"app-1","generation":3,"opened_at":"2026-03-01T02:10:53Z",
      "state":"closed","trigger":"soft_limit","verdict":"over its limit","capture":{"status":"done"}}]})");
    EXPECT_EQ(show_incidents(Facts(&value), plain),
              "INCIDENT     AGO  WORKER  GEN  TRIGGER     STATE   CAPTURE  VERDICT\n"
              "i-000042  3m 12s  app-1     3  soft_limit  closed  done     over its limit\n");
    auto none = json(R"({"incidents":[]})");
    EXPECT_EQ(show_incidents(Facts(&none), plain), "no incidents\n");
}

TEST(Leaks, are_told_in_a_sentence_with_what_to_do) {
    auto value = json(R"({"leaks":[{"confidence":0.97,"verdict":"app-1 leaks 3.9 KiB a request","advice":"bound it",
      "routes":[],"incidents":["i-000042"]},{"confidence":0.6,"verdict":"app-2 leaks 1 KiB a request","advice":null}]})");
    EXPECT_EQ(show_leaks(Facts(&value), plain), "! app-1 leaks 3.9 KiB a request\n"
                                                "    advice: bound it\n"
                                                "    the whole story: plimsoll incidents i-000042\n"
                                                "? app-2 leaks 1 KiB a request\n");
    auto routes = json(R"({"leaks":[{"confidence":0.9,"verdict":"one of them leaks","routes":[
      {"route":"GET /a","bytes_per_request":4096,"heaviest":"maybe"},{"route":"GET /b","bytes_per_request":1024,"heaviest":"no"}],
      "lines":[{"file":"app.py","line":41,"function":"remember","bytes_per_request":2048}]}]})");
    EXPECT_EQ(show_leaks(Facts(&routes), plain), "! one of them leaks\n"
                                                 "    GET /a  4.0 KiB a request, maybe the heaviest\n"
                                                 "    GET /b  1.0 KiB a request\n"
                                                 "    app.py:41 in remember  2.0 KiB a request to the worker\n")
        << "a route's bytes are of each request to it";
    auto none = json(R"({"leaks":[]})");
    EXPECT_EQ(show_leaks(Facts(&none), plain), "nothing leaks\n");
}

TEST(Leaks, are_not_denied_where_no_worker_lives_for_long_enough_to_show_one) {
    auto value = json(R"({"leaks":[],"unjudged":["app: its server ends workers after 500 requests"]})");
    EXPECT_EQ(show_leaks(Facts(&value), plain), "? app: its server ends workers after 500 requests\n");
}

TEST(Leaks, say_of_each_worker_what_its_memory_does_though_nothing_leaks) {
    auto value = json(R"({"leaks":[],"workers":[
      {"worker":"app-1","pool":"app","class":"steady","bytes_per_request":0.4,"requests":120000,"confidence":0.98,"requests_to_limit":null},
      {"worker":"app-2","pool":"app","class":"leaking","bytes_per_request":4000,"requests":9000,"confidence":0.61,
       "requests_to_limit":41234.6,"seconds_to_limit":11520.0},
      {"worker":"app-3","pool":"app","class":"leaking","bytes_per_request":4000,"requests":9000,"confidence":0.61,
       "requests_to_limit":41234.6,"seconds_to_limit":null},
      {"worker":"app-4","pool":"app","class":"unknown","bytes_per_request":null,"requests":3,"confidence":null}]})");
    EXPECT_EQ(show_leaks(Facts(&value), plain),
              "nothing leaks\n"
              "\n"
              "WORKER  CLASS    A REQUEST  REQUESTS  SURE  FORECAST\n"
              "app-1   steady         0 B    120000   98%  -\n"
              "app-2   leaking    3.9 KiB      9000   61%  at its limit in 3h 12m, 41234 requests\n"
              "app-3   leaking    3.9 KiB      9000   61%  at its limit in 41234 requests\n"
              "app-4   unknown          -         3     -  -\n");
    EXPECT_NE(show_leaks(Facts(&value), {.colours = true, .now = plain.now}).find("\x1b[31mleaking"),
              std::string::npos);
}

TEST(Incident, is_told_from_its_verdict_to_its_evidence) {
    auto value =
        json(R"({"id":"i-000042","pool":"app","worker":"app-1","generation":3,"opened_at":"2026-03-01T02:10:53Z",
      "closed_at":"2026-03-01T02:10:57.200Z","state":"closed","trigger":"soft_limit","verdict":"app-1 was over its limit",
      "routes":[],"lines":[{"file":"app.py","line":41,"function":"remember","bytes":1048576,"count":256,"bytes_per_request":4096,"claimed":true},
               {"file":"app.py","line":7,"bytes":1024,"count":1,"bytes_per_request":4,"claimed":false}],
      "types":[{"type":"dict","count":1000,"bytes":65536,"delta":900}],"retainers":["dict: orders._seen"],
      "capture":{"status":"done","files":["census.json"],"sizes":{"census.json":2048}},
      "recycle":{"outcome":"done","drained_ms":41,"lost":0,"memory_before":104857600,"memory_after":52428800,
                 "successor":{"generation":4,"process":"4712"}},
      "timeline":[{"at":"2026-03-01T02:10:53Z","event":"soft limit crossed"},{"at":"2026-03-01T02:10:54.500Z","event":"drained\nin 41 ms"}]})");
    EXPECT_EQ(show_incident(Facts(&value), plain),
              R"(i-000042  app-1 was over its limit

  worker    app-1, generation 3, pool app
  trigger   soft_limit
  state     closed
  opened    2026-03-01 02:10:53 UTC (3m 12s ago), closed after 4.2 s
  memory    100.0 MiB -> 50.0 MiB
  recycle   done, drained in 41 ms, 0 requests lost, successor generation 4
  capture   done

What happened
     +0 ms  soft limit crossed
    +1.5 s  drained in 41 ms

Which lines
  LINE                      KEPT  BLOCKS  A REQUEST
  app.py:41 in remember  1.0 MiB     256    4.0 KiB

What survived the trace, and agrees with no growth
  LINE         KEPT  BLOCKS  A REQUEST
  app.py:7  1.0 KiB       1        4 B

Which types grew since the worker began
  TYPE  GREW BY  OBJECTS     BYTES
  dict      900     1000  64.0 KiB

Kept by
  dict: orders._seen

Evidence
  FILE            SIZE
  census.json  2.0 KiB
  plimsoll incidents i-000042 --file NAME prints one, -o FILE keeps it
)");
}

TEST(Incident, that_has_just_begun_leaves_out_what_is_not_known) {
    auto value = json(
        R"({"id":"i-1","pool":"app","worker":"app-1","generation":1,"opened_at":"2026-03-01T02:14:05Z","closed_at":null,"state":"open",
      "trigger":"death","verdict":"it died","routes":[],"lines":[],"types":[],"retainers":null,"capture":{"status":"none","files":[]},
      "recycle":null,"timeline":[]})");
    EXPECT_EQ(show_incident(Facts(&value), plain), R"(i-1  it died

  worker    app-1, generation 1, pool app
  trigger   death
  state     open
  opened    2026-03-01 02:14:05 UTC (0 ms ago)
  capture   none
)");
}

TEST(Incident, of_a_leak_tells_who_keeps_it_what_is_open_since_when_and_what_to_do) {
    auto value = json(R"json({"id":"i-7","kept_by":"shop.orders._seen (dict, 40213 items)","advice":"Bound it.",
      "release":{"since":"43","before":"42"},
      "open":{"descriptors":{"socket, tcp close-wait":412,"file":3},"threads":[],"children":{"a\u001b[31mb":1}}})json");
    const auto text = show_incident(Facts(&value), plain);
    for (const char* line :
         {"  release   since 43, 42 did not have it\n", "  kept by   shop.orders._seen (dict, 40213 items)\n",
          "  advice    Bound it.\n", "What is open\n", "  descriptors  socket, tcp close-wait    412\n"})
        EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
    EXPECT_EQ(text.find('\x1b'), std::string::npos) << "a name is not a command to the terminal";
}

TEST(Incident, shows_the_types_that_grew_and_not_all_of_them) {
    std::string types =
        R"({"type":"shrunk","delta":-5,"count":1,"bytes":1},{"type":"same","delta":0,"count":1,"bytes":1})";
    for (int i = 0; i < 50; ++i)
        types += R"(,{"type":"grew)" + std::to_string(i) + R"(","delta":7,"count":9,"bytes":1})";
    auto value = json(R"({"types":[)" + types + "]}");
    auto text = show_incident(Facts(&value), plain);
    EXPECT_NE(text.find("grew0 "), std::string::npos) << text;
    EXPECT_NE(text.find("grew14 "), std::string::npos) << text;
    for (auto left_out : {"grew15", "shrunk", "same"}) EXPECT_EQ(text.find(left_out), std::string::npos) << left_out;
}

TEST(Changes, are_told_as_the_api_tells_them) {
    auto value = json(
        R"({"ok":true,"changes":[{"key":"log.level","text":"log.level: info -> debug"}],"warnings":[{"text":"f:1:1: x"}]})");
    EXPECT_EQ(show_changes(Facts(&value)), "reloaded:\n  log.level: info -> debug\nf:1:1: x (warning)\n");
    auto nothing = json(R"({"ok":true,"changes":[]})");
    EXPECT_EQ(show_changes(Facts(&nothing)), "reloaded: nothing changed\n");
}

TEST(Show, no_shape_of_answer_is_a_crash) {
    for (
        auto text :
        {"null", "1", "[]", "{}",
         R"({"workers":5,"pools":{},"incidents":[null,1,"x",[]],"timeline":[null],"types":[{}],"lines":[[]]})",
         R"({"workers":[{"memory":7,"slots":"many"}],"recycle":[],"capture":{"files":[{}],"sizes":[]},"opened_at":1e300})"}) {
        auto value = json(text);
        Facts facts(&value);
        show_status(facts, plain);
        show_workers(facts, plain);
        show_leaks(facts, plain);
        show_incidents(facts, plain);
        show_incident(facts, plain);
        show_changes(facts);
    }
}

} // namespace
