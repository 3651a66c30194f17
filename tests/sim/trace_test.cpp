#include "sim/trace.hpp"

#include <sstream>

#include <gtest/gtest.h>

namespace plimsoll::sim {
namespace {

using namespace std::chrono_literals;

TEST(Trace, a_line_is_a_request_that_came_when_it_says_and_needs_what_it_took) {
    std::istringstream lines(
        R"({"at":1772367245.599,"pool":"app","route":"/a","priority":"normal","wait":0,"service":0.4,"received":0,"sent":9,"status":200})"
        "\n"
        R"({"at":1772367245.5,"pool":"app","route":"/b","priority":"critical","wait":0.1,"service":0.25,"received":0,"sent":9,"status":200})"
        "\n"
        "# not of us\n"
        R"({"at":1772367246,"pool":"app","route":"/a","priority":"sheddable","wait":0,"received":0,"sent":0,"status":503,"refused":"concurrency"})"
        "\n"
        R"({"at":1772367246,"pool":"app","route":"/a","priority":"normal","wait":0,"received":0,"sent":0,"status":429,"refused":"rate"})"
        "\n"
        R"({"at":1772367246,"pool":"other","route":"/o","priority":"normal","wait":0,"service":9,"received":0,"sent":0,"status":200})"
        "\n"
        R"({"at":1772367246.5,"pool":"app","route":"/a","prio)");
    const Trace trace = read_trace({&lines});
    EXPECT_EQ(trace.passed_over, 2U) << "the last line was being written";
    EXPECT_EQ(trace.left_out, 2U) << "the rate limit's, and another pool's";
    ASSERT_EQ(trace.requests.size(), 3U);
    EXPECT_EQ(trace.requests[0].at, 0ms);
    EXPECT_EQ(trace.requests[0].priority, Priority::critical);
    EXPECT_NEAR(to_seconds(trace.requests[0].service), 0.25, 1e-6);
    EXPECT_NEAR(to_seconds(trace.requests[1].at), 0.099, 1e-6);
    EXPECT_NEAR(to_seconds(trace.requests[2].service), 0.4, 1e-6) << "it was refused: it gets what its route needs";
    EXPECT_NEAR(to_seconds(trace.mean_service), 0.325, 1e-6);

    OverloadSettings settings;
    settings.workers = 1;
    settings.trace = trace.requests;
    const OverloadReport report = run(settings);
    EXPECT_EQ(report.broken, "");
    EXPECT_EQ(report.of[index(Priority::critical)].served, 1U);
    EXPECT_EQ(report.of[index(Priority::sheddable)].served, 1U);
}

TEST(Trace, another_pool_may_be_asked_for) {
    std::istringstream lines(
        R"({"at":1,"pool":"app","route":"/a","priority":"normal","service":1,"status":200})"
        "\n"
        R"({"at":2,"pool":"b","route":"/x\",\"pool\":\"app","priority":"normal","service":2,"status":200})"
        "\n");
    const Trace trace = read_trace({&lines}, "b");
    ASSERT_EQ(trace.requests.size(), 1U);
    EXPECT_EQ(trace.routes.at(1), R"(/x\",\"pool\":\"app)");
}

TEST(Trace, what_was_refused_before_the_gate_was_asked_is_left_out) {
    for (const std::string reason : {"rate", "inflight", "limit_unknown", "maintenance", "draining"}) {
        std::istringstream lines(R"({"at":1,"pool":"app","route":"/a","priority":"normal","refused":")" + reason +
                                 "\"}\n");
        const Trace trace = read_trace({&lines});
        EXPECT_EQ(trace.left_out, 1U) << reason;
        EXPECT_TRUE(trace.requests.empty()) << reason;
    }
}

TEST(Trace, a_deadline_counts_from_the_arrival_and_is_the_gates_to_heed) {
    std::istringstream lines(
        R"({"at":100,"pool":"app","route":"/a","priority":"normal","wait":0,"service":1,"status":200})"
        "\n"
        R"({"at":100.1,"pool":"app","route":"/a","priority":"normal","deadline":0.4,"wait":0,"service":1,"status":200})"
        "\n"
        R"({"at":100.2,"pool":"app","route":"/a","priority":"normal","wait":0,"service":1,"status":503,"refused":"deadline"})"
        "\n");
    const Trace trace = read_trace({&lines});
    ASSERT_EQ(trace.requests.size(), 3U);
    EXPECT_FALSE(trace.requests[0].deadline) << "an old line, or one that had none";
    ASSERT_TRUE(trace.requests[1].deadline);
    EXPECT_NEAR(to_seconds(*trace.requests[1].deadline), 0.4, 1e-6);
    EXPECT_FALSE(trace.requests[2].deadline) << "a reason is no deadline";

    OverloadSettings settings;
    settings.workers = 1;
    settings.trace = trace.requests;
    settings.gate.queue_timeout = 5s;
    const OverloadReport report = run(settings);
    EXPECT_EQ(report.broken, "");
    EXPECT_EQ(report.reasons, (std::map<std::string, std::uint64_t>{{"deadline", 1}}));
    EXPECT_EQ(report.of[index(Priority::normal)].served, 2U);
}

TEST(Trace, both_files_of_a_rotated_one_are_read_in_whatever_order_they_are_named) {
    const auto line = [](int at, const std::string& pool, const std::string& route) {
        return R"({"at":)" + std::to_string(at) + R"(,"pool":")" + pool + R"(","route":")" + route +
               R"(","priority":"normal","service":1,"status":200})";
    };
    std::istringstream older(line(10, "app", "/a") + "\n" + line(11, "app", "/b")), // no end of line at its end
        newer(line(12, "other", "/a") + "\n" + line(13, "app", "/a") + "\n");
    const Trace trace = read_trace({&newer, &older}, "app");
    ASSERT_EQ(trace.requests.size(), 3U);
    EXPECT_EQ(trace.requests[0].at, 0s);
    EXPECT_EQ(trace.requests[2].at, 3s);
    EXPECT_EQ(trace.requests[0].route, trace.requests[2].route) << "a label is one route in both";
    EXPECT_EQ(trace.left_out, 1U);
}

} // namespace
} // namespace plimsoll::sim
