#include "sim/trace.hpp"

#include <sstream>

#include <gtest/gtest.h>

namespace plimsoll::sim {
namespace {

using namespace std::chrono_literals;

TEST(Trace, an_access_log_is_read_and_played) {
    std::istringstream log(
        R"({"time":"2026-03-01T02:14:06.000Z","level":"info","event":"request","path":"/\"seconds\":9","status":200,"seconds":0.5,"queue_seconds":0.1,"worker":"app-1","route":"/a","priority":"critical"})"
        "\n"
        R"({"time":"2026-03-01T02:14:05.600Z","level":"info","event":"request","status":503,"seconds":0.001,"queue_seconds":0,"worker":"","route":"/a","priority":"sheddable"})"
        "\n"
        R"({"time":"2026-03-01T02:14:05.600Z","level":"warn","event":"upstream_failed"})"
        "\nno json at all\n");
    const Trace trace = read_trace(log);
    EXPECT_EQ(trace.passed_over, 2U);
    ASSERT_EQ(trace.requests.size(), 2U);
    EXPECT_EQ(trace.requests[0].at, 0ms);
    EXPECT_EQ(trace.requests[0].priority, Priority::critical);
    EXPECT_NEAR(std::chrono::duration<double>(trace.requests[0].service).count(), 0.4, 1e-6);
    EXPECT_NEAR(std::chrono::duration<double>(trace.requests[1].at).count(), 0.099, 1e-6);
    EXPECT_NEAR(std::chrono::duration<double>(trace.requests[1].service).count(), 0.4, 1e-6)
        << "it was refused: it gets what its route needs";

    OverloadSettings settings;
    settings.workers = 1;
    settings.trace = trace.requests;
    const OverloadReport report = run(settings);
    EXPECT_EQ(report.broken, "");
    EXPECT_EQ(report.of[index(Priority::critical)].served, 1U);
    EXPECT_EQ(report.of[index(Priority::sheddable)].served, 1U);
}

} // namespace
} // namespace plimsoll::sim
