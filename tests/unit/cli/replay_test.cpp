// What `plimsoll replay` prints of a trace, and what it says of one that it cannot play.
#include "cli/replay.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "cli/commands.hpp"

using namespace plimsoll::cli;

namespace {

class ReplayTest : public testing::Test {
protected:
    ReplayTest() {
        char name[] = "/tmp/plimsoll-replay-XXXXXX";
        directory_ = ::mkdtemp(name);
    }
    ~ReplayTest() override { std::filesystem::remove_all(directory_); }
    std::string file(const std::string& content, const std::string& name = "trace") {
        std::ofstream(directory_ / name) << content;
        return (directory_ / name).string();
    }
    static std::string line(double at, const std::string& more, const std::string& route = "/a") {
        std::ostringstream text;
        text << R"({"at":)" << at << R"(,"pool":"app","route":")" << route << R"(","priority":"normal",)" << more
             << "}\n";
        return text.str();
    }
    static std::string told(const ReplayOptions& options) {
        std::ostringstream out;
        EXPECT_EQ(replay(options, out), 0);
        return out.str();
    }
    static std::string failure(const ReplayOptions& options) {
        std::ostringstream out;
        try {
            replay(options, out);
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.code, 2);
            EXPECT_EQ(failure.text.find('\n'), std::string::npos) << failure.text;
            return failure.text;
        }
        return "nothing failed: " + out.str();
    }
    static void expect_in(const std::string& text, const std::string& part) {
        EXPECT_NE(text.find(part), std::string::npos) << part << " is not in\n" << text;
    }
    std::filesystem::path directory_;
};

TEST_F(ReplayTest, tells_who_would_have_been_served_and_who_refused_and_why) {
    const std::string trace =
        file(line(1, R"("service":1)") + line(1.1, R"("service":1)") + line(1.2, R"("service":1)"));
    const std::string served = told({.files = {trace}, .workers = 3});
    expect_in(served, "3 requests of 1 routes in 1.2 s");
    expect_in(served, "nobody was refused\n");
    const std::string refused = told({.files = {trace}, .workers = 1, .timeout = "500ms"});
    expect_in(refused, "normal           3       1        2     0  1000.0  1000.0                  500.0");
    expect_in(refused, "refused: queue_timeout 2\n");
}

TEST_F(ReplayTest, more_workers_and_a_slower_arrival_help_as_they_would) {
    const std::string trace = file(line(1, R"("service":1)") + line(1.1, R"("service":1)"));
    expect_in(told({.files = {trace}, .workers = 1, .timeout = "300ms"}), "refused: queue_timeout 1\n");
    expect_in(told({.files = {trace}, .workers = 1, .timeout = "300ms", .faster = 0.05}), "nobody was refused");
}

TEST_F(ReplayTest, tells_what_memory_would_have_been_needed_and_what_a_limit_does) {
    const std::string heavy = R"("service":1,"need":209715200)";
    const std::string trace = file(line(1, heavy) + line(1, heavy) + line(1, heavy));
    expect_in(told({.files = {trace}}), "memory: at most 600.0 MiB at once, 200.0 MiB in one worker\n");
    const std::string limited = told({.files = {trace}, .memory = "600MiB", .base = "25MiB"});
    expect_in(limited, "memory: at most 500.0 MiB of 600.0 MiB at once, 225.0 MiB in one worker\n");
    expect_in(limited,
              "memory: 3 requests need much, 1 of them waited for room though a slot was free, 1000.0 ms (p99)\n");
    const std::string each = told({.files = {trace}, .worker_memory = "400MiB", .base = "25MiB"});
    expect_in(each, "225.0 MiB of 400.0 MiB in one worker\n");
    expect_in(each, "0 of them waited");
}

TEST_F(ReplayTest, a_trace_that_knows_of_no_need_says_so_where_it_is_asked_for_memory) {
    const std::string trace = file(line(1, R"("service":1)"));
    EXPECT_EQ(told({.files = {trace}}).find("memory"), std::string::npos);
    expect_in(told({.files = {trace}, .memory = "600MiB", .base = "25MiB"}),
              "the trace knows of no request that needs any");
}

TEST_F(ReplayTest, a_rate_limit_refuses_what_it_would_have) {
    std::string lines;
    for (const auto* client : {"a", "a", "a", "b"})
        lines += line(1, R"("service":0.1,"client":")" + std::string(client) + '"', "GET /x,y=1");
    const std::string trace = file(lines + line(1, R"("service":0.1)", "/b"));
    const std::string all = told({.files = {trace}, .limits = {"GET /x,y=1=10/s,burst=1"}});
    expect_in(all, "limit GET /x,y=1=10/s,burst=1: 2 of 4 requests refused\n");
    expect_in(all, "refused: rate 2\n");
    const std::string each = told({.files = {trace}, .limits = {"*=1/s,key=client,burst=1", "/b=1/h"}});
    expect_in(each, "limit *=1/s,key=client,burst=1: 1 of 5 requests refused, of 1 of 3 clients\n");
    expect_in(each, "limit /b=1/h: 0 of 1 requests refused\n");
}

TEST_F(ReplayTest, a_limit_that_cannot_be_is_told_in_one_line) {
    const std::string trace = file(line(1, R"("service":1)", "/orders") + line(1, R"("service":1)", "/api"));
    for (const auto* nonsense :
         {"/api", "/api=", "/api=10", "/api=0/s", "=10/s", "/api=10/s,brst=3", "/api=10/s,key=path"})
        expect_in(failure({.files = {trace}, .limits = {nonsense}}), "ROUTE=RATE[,burst=N][,key=client] is meant");
    expect_in(failure({.files = {trace}, .limits = {"/api=10/s,burst=-1"}}), "burst is a number");
    expect_in(failure({.files = {trace}, .limits = {"/apy=10/s"}}),
              "--limit /apy=10/s: the trace has no route /apy: did you mean /api?");
    expect_in(failure({.files = {trace}, .limits = {"/nowhere=10/s"}}), "no route /nowhere; it has /orders, /api");
    expect_in(failure({.files = {trace}, .limits = {"/api=10/s,key=client"}}), "leave key=client out");
}

TEST_F(ReplayTest, a_broken_line_is_named) {
    const std::string trace = file(line(1, R"("service":1)") + line(2, R"("service":one)"));
    expect_in(told({.files = {trace}}),
              "1 requests of 1 routes in 1.0 s (0 left out, 1 other lines, the first " + trace + ":2)");
}

TEST_F(ReplayTest, what_is_no_trace_is_named_in_one_line) {
    expect_in(failure({.files = {"/no/such/trace"}}), "/no/such/trace cannot be read: No such file or directory");
    expect_in(failure({.files = {"/tmp"}}), "/tmp:1 cannot be read: Is a directory");
    expect_in(failure({.files = {"/dev/zero"}}), "/dev/zero:1 cannot be read: a line of more than 65536 bytes");
    const std::string trace =
        file(line(1, R"("service":1)") + std::string(70'000, 'x') + "\n" + line(2, R"("service":1)"));
    expect_in(failure({.files = {trace}}), trace + ":2 cannot be read: a line of more than 65536 bytes");
    expect_in(failure({.files = {trace, "/proc/self/mem"}}), trace + ":2 cannot be read");
    expect_in(failure({.files = {"/proc/self/mem"}}), "/proc/self/mem:1 cannot be read: Input/output error");
    expect_in(failure({.files = {file("127.0.0.1 - GET / 200\n")}}),
              "holds no request: is it the file of [log] trace?");
    expect_in(failure({.files = {file(line(1, R"("service":1)"))}, .pool = "b"}), "holds no request of the pool b");
}

TEST_F(ReplayTest, a_route_may_look_like_an_option) {
    const std::string trace =
        file(line(1, R"("service":1,"client":"a")", "/x,burst=3") + line(1, R"("service":1)", "/y,key=client"));
    const std::string text =
        told({.files = {trace}, .limits = {"/x,burst=3=10/s", "/x,burst=3=10/s,burst=2", "/y,key=client=1/m"}});
    expect_in(text, "limit /x,burst=3=10/s: 0 of 1 requests refused\n");
    expect_in(text, "limit /y,key=client=1/m: 0 of 1 requests refused\n");
}

TEST_F(ReplayTest, years_in_which_nothing_happens_take_no_time) {
    const std::string trace = file(R"({"at":1,"pool":"app","route":"/a","priority":"normal","service":0.5})"
                                   "\n"
                                   R"({"at":1772331245,"pool":"app","route":"/a","priority":"normal","service":0.5})"
                                   "\n");
    expect_in(told({.files = {trace}, .memory = "600MiB", .base = "25MiB"}),
              "2 requests of 1 routes in 1772331244.5 s");
}

TEST_F(ReplayTest, what_would_not_fit_into_a_number_is_told_in_one_line) {
    const std::string trace = file(line(0, R"("service":1)") + line(2e7, R"("service":1)")); // 231 days
    EXPECT_NE(told({.files = {trace}, .faster = 0.1}), "");
    expect_in(failure({.files = {trace}, .faster = 0.001}),
              "the last request would come 231481 days after the first: at most 36500 can be played");
    expect_in(failure({.files = {trace}, .faster = std::nan("")}), "--faster nan: a number above 0 is meant");
    expect_in(failure({.files = {trace}, .workers = 10'000, .base = "500000TiB"}), "--base 500000TiB: at most 100TiB");
    expect_in(failure({.files = {trace}, .memory = "101TiB", .base = "1GiB"}), "--memory 101TiB: at most 100TiB");
    expect_in(failure({.files = {trace}, .worker_memory = "101TiB", .base = "1GiB"}), "--worker-memory 101TiB:");
    EXPECT_NE(told({.files = {trace}, .workers = 10'000, .faster = 1000, .base = "100TiB"}), "");
}

} // namespace
