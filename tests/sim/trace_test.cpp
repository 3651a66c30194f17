#include "sim/trace.hpp"

#include <algorithm>
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

TEST(Trace, time_jumps_over_what_nothing_happens_in_and_the_ticks_behind_it_are_where_they_would_have_been) {
    OverloadSettings settings;
    settings.workers = 1;
    settings.gate.queue_timeout = 500ms;
    for (const Duration start : {Duration{}, Duration{24h + 3ms}, Duration{24h * 3650 + 7ms}}) // it waits in vain
        for (int i = 0; i < 2; ++i) settings.trace.push_back({start, Priority::normal, 1, 1s});
    settings.trace.push_back({24h * 3651, Priority::normal, 1, 24h * 100}); // the whole of it without a tick
    settings.trace.push_back({24h * 3800, Priority::normal, 1, 1s});
    const OverloadReport report = run(settings);
    EXPECT_EQ(report.broken, "");
    EXPECT_EQ(report.of[index(Priority::normal)].served, 5U);
    ASSERT_EQ(report.of[index(Priority::normal)].refusal_latency.size(), 3U);
    EXPECT_EQ(report.of[index(Priority::normal)].refusal_latency[0], 500);
    EXPECT_EQ(report.of[index(Priority::normal)].refusal_latency[1], 507) << "told by the tick at 510 ms";
    EXPECT_EQ(report.of[index(Priority::normal)].refusal_latency[2], 503);
    EXPECT_LT(report.ticks, 50'000U) << "a minute of them behind each of six events, and not ten years";
    EXPECT_GT(report.ticks, 5 * 6'000U);
}

TEST(Trace, a_replay_that_does_not_watch_all_workers_tells_the_same) {
    OverloadSettings settings;
    settings.slots = 2;
    settings.memory = {25_MiB, 600_MiB, std::nullopt};
    for (int i = 0; i < 300; ++i)
        settings.trace.push_back({i * 7ms, Priority::normal, 1, 60ms, std::nullopt, i % 9 == 0 ? 200_MiB : 1_MiB});
    const OverloadReport all = run(settings);
    settings.watches_all = false;
    const OverloadReport few = run(settings);
    EXPECT_EQ(few.broken, "");
    EXPECT_EQ(few.memory.waits, all.memory.waits);
    EXPECT_EQ(few.reasons, all.reasons);
    EXPECT_EQ(few.latency(.99), all.latency(.99));
}

// `count` that come at once, each for a second.
std::vector<Traced> at_once(unsigned count, Bytes need, Duration at = {}) {
    return std::vector<Traced>(count, Traced{at, Priority::normal, 1, 1s, std::nullopt, need});
}
OverloadSettings four_workers_of(MemoryPlan memory) {
    OverloadSettings settings;
    settings.memory = memory;
    return settings;
}

TEST(Trace, what_needs_more_than_there_is_waits_for_room_though_a_slot_is_free) {
    OverloadSettings settings = four_workers_of({25_MiB, 600_MiB, std::nullopt}); // 5 % of them are the margin
    settings.trace = at_once(3, 200_MiB);
    const OverloadReport report = run(settings);
    EXPECT_EQ(report.broken, "");
    EXPECT_EQ(report.memory.peak, 500_MiB) << "two of them, and four workers";
    EXPECT_EQ(report.memory.worker_peak, 225_MiB);
    EXPECT_EQ(report.memory.weighty, 3U);
    ASSERT_EQ(report.memory.waits.size(), 1U);
    EXPECT_GE(report.memory.waits[0], 1000);
    EXPECT_EQ(report.memory.passed, 0U);
    EXPECT_EQ(report.of[index(Priority::normal)].served, 3U);
}

TEST(Trace, without_a_limit_memory_is_counted_and_nobody_waits_for_it) {
    OverloadSettings settings = four_workers_of({25_MiB, std::nullopt, std::nullopt});
    settings.trace = at_once(3, 200_MiB);
    const OverloadReport report = run(settings);
    EXPECT_EQ(report.memory.peak, 700_MiB);
    EXPECT_TRUE(report.memory.waits.empty());
    EXPECT_EQ(report.memory.weighty, 0U) << "much is what is much beside a limit";
    EXPECT_LT(report.latency(1), 1001);
}

TEST(Trace, a_worker_s_own_limit_leaves_room_in_the_others) {
    OverloadSettings settings = four_workers_of({25_MiB, std::nullopt, 300_MiB});
    settings.slots = 2;
    settings.trace = at_once(5, 200_MiB);
    const OverloadReport report = run(settings);
    EXPECT_EQ(report.broken, "");
    EXPECT_EQ(report.memory.worker_peak, 225_MiB);
    EXPECT_EQ(report.memory.waits.size(), 1U) << "eight slots, and room for one in each of four workers";
}

TEST(Trace, who_needs_little_passes_those_who_wait_for_room) {
    OverloadSettings settings = four_workers_of({25_MiB, 600_MiB, std::nullopt});
    settings.trace = at_once(3, 200_MiB);
    for (Traced& each : settings.trace) each.priority = Priority::critical;
    for (const Traced& light : at_once(1, 2_MiB, 100ms)) settings.trace.push_back(light);
    const OverloadReport report = run(settings);
    EXPECT_EQ(report.broken, "") << "a higher priority waits, and not for a slot";
    EXPECT_LT(report.of[index(Priority::normal)].latency.at(0), 1001);
}

TEST(Trace, a_line_of_those_who_need_much_that_does_not_move_is_refused_with_memory) {
    OverloadSettings settings = four_workers_of({25_MiB, 400_MiB, std::nullopt});
    for (int second = 0; second < 20; ++second)
        for (const Traced& each : at_once(2, 200_MiB, 1s * second)) settings.trace.push_back(each);
    const OverloadReport report = run(settings);
    EXPECT_EQ(report.broken, "");
    EXPECT_EQ(report.reasons.size(), 1U);
    EXPECT_GT(report.reasons.at("memory"), 5U) << "twice as many come as fit one after the other";
    EXPECT_EQ(report.memory.peak, 300_MiB);
}

TEST(Trace, what_never_fits_and_is_tried_all_the_same_is_told) {
    OverloadSettings settings = four_workers_of({25_MiB, 400_MiB, std::nullopt});
    settings.trace = at_once(1, 500_MiB, 20s);
    const OverloadReport report = run(settings);
    EXPECT_EQ(report.memory.passed, 1U) << "now and then one is let in alone, or an estimate would never be put right";
    EXPECT_EQ(report.memory.peak, 600_MiB);
    settings.trace = at_once(2, 500_MiB);
    EXPECT_EQ(run(settings).reasons, (std::map<std::string, std::uint64_t>{{"memory", 2}}));
}

TEST(Trace, a_need_is_read_where_there_is_one_and_a_line_with_an_impossible_number_is_none) {
    std::istringstream lines(
        R"({"at":1,"pool":"app","route":"/a","priority":"normal","wait":0,"service":1,"need":209715200,"status":200})"
        "\n"
        R"({"at": 2, "pool": "app", "route": "/a", "priority": "sheddable", "wait": 0, "service": 1, "status": 200})"
        "\n"
        R"({"at":3,"pool":"app","route":"/a","priority":"normal","wait":0,"service":1,"need":-1,"status":200})"
        "\n"
        R"({"at":4,"pool":"app","route":"/a","priority":"normal","wait":0,"service":inf,"status":200})"
        "\n"
        R"({"at":5,"pool":"app","route":"/a","priority":"normal","wait":0,"service":1,"need":"much","status":200})"
        "\n"
        R"({"at":1e300,"pool":"app","route":"/a","priority":"normal","wait":0,"service":1,"status":200})"
        "\n");
    const Trace trace = read_trace({&lines});
    ASSERT_EQ(trace.requests.size(), 2U);
    EXPECT_EQ(trace.requests[0].need, 200_MiB);
    EXPECT_EQ(trace.requests[1].need, Bytes{}) << "an older trace has none";
    EXPECT_EQ(trace.requests[1].priority, Priority::sheddable) << "spaces between are no harm";
    EXPECT_EQ(trace.passed_over, 4U);
    EXPECT_EQ(trace.first_passed_over.file, 0U);
    EXPECT_EQ(trace.first_passed_over.line, 3U);
}

// `count` of each of these clients, one right after the other.
OverloadSettings clients_of(std::initializer_list<std::uint64_t> clients, unsigned count,
                            std::vector<RateLimit> limits) {
    OverloadSettings settings;
    settings.limits = std::move(limits);
    settings.slots = 100;
    for (const std::uint64_t client : clients)
        for (Traced each : at_once(count, {})) {
            each.client = client;
            settings.trace.push_back(each);
        }
    return settings;
}

TEST(Trace, a_limit_of_a_route_counts_all_its_requests_together_and_no_others) {
    OverloadSettings settings = clients_of({1, 2}, 5, {{1, RateRule::per_second(1, 3)}});
    for (Traced each : at_once(5, {})) {
        each.route = 2;
        settings.trace.push_back(each);
    }
    for (const Traced& late : at_once(3, {}, 2s)) settings.trace.push_back(late); // two have been earned since
    const OverloadReport report = run(settings);
    EXPECT_EQ(report.broken, "");
    EXPECT_EQ(report.reasons, (std::map<std::string, std::uint64_t>{{"rate", 7}})) << "burst + 1 at once pass";
    EXPECT_EQ(report.limits.at(0).asked, 13U);
    EXPECT_EQ(report.limits.at(0).refused, 7U);
    EXPECT_EQ(report.of[index(Priority::normal)].served, 11U);
}

TEST(Trace, a_limit_by_client_counts_each_client_alone) {
    const RateLimit by_client{0, RateRule::per_second(1, 3), true};
    const OverloadReport report = run(clients_of({7, 8, 9}, 5, {by_client}));
    EXPECT_EQ(report.limits.at(0).refused, 3U);
    EXPECT_EQ(report.limits.at(0).clients.size(), 3U);
    EXPECT_EQ(report.limits.at(0).refused_clients.size(), 3U);
    EXPECT_EQ(run(clients_of({7, 8, 9}, 4, {by_client})).limits.at(0).refused, 0U);
}

TEST(Trace, what_a_later_limit_refuses_costs_an_earlier_one_nothing) {
    const RateLimit of_all{0, RateRule::per_second(0.001, 5), false},
        by_client{0, RateRule::per_second(0.001, 0), true};
    const OverloadReport report = run(clients_of({1, 2, 3}, 3, {of_all, by_client}));
    EXPECT_EQ(report.limits.at(0).refused, 0U) << "six may pass, and three did";
    EXPECT_EQ(report.limits.at(1).refused, 6U);
}

TEST(Trace, what_a_rate_limit_refused_is_played_where_its_route_s_rate_is_tried_anew) {
    const std::string text =
        R"({"at":1,"pool":"app","route":"/a","client":"00000000deadbeef","priority":"normal","service":1,"status":200})"
        "\n"
        R"({"at":2,"pool":"app","route":"/a","client":"1","priority":"normal","status":429,"refused":"rate"})"
        "\n"
        R"({"at":3,"pool":"app","route":"/b","client":"who?","priority":"normal","service":1,"status":200})"
        "\n";
    const auto read = [&text](const std::set<std::string, std::less<>>& rated) {
        std::istringstream lines(text);
        return read_trace({&lines}, {}, rated);
    };
    EXPECT_EQ(read({}).requests.size(), 1U);
    EXPECT_EQ(read({"/b"}).requests.size(), 1U);
    EXPECT_EQ(read({"*"}).requests.size(), 2U);
    const Trace trace = read({"/a"});
    ASSERT_EQ(trace.requests.size(), 2U);
    EXPECT_EQ(trace.requests[0].client, 0xdeadbeefU);
    EXPECT_EQ(trace.requests[1].client, 1U);
    EXPECT_NEAR(to_seconds(trace.requests[1].service), 1, 1e-6) << "as others of its route";
    EXPECT_EQ(trace.passed_over, 1U) << "the client of the third is none";
}

TEST(Trace, a_limit_finds_requests_by_their_name_and_by_the_label_of_their_route) {
    const std::string text =
        R"({"at":1,"pool":"app","route":"GET /a/{id}","label":"/a","priority":"normal","service":1,"status":200})"
        "\n"
        R"({"at":2,"pool":"app","route":"GET /a/{id}","label":"/a","priority":"normal","status":429,"refused":"rate"})"
        "\n"
        R"({"at":3,"pool":"app","route":"/a","priority":"normal","status":429,"refused":"rate"})"
        "\n";
    const auto asked = [&text](const std::string& rated) {
        std::istringstream lines(text);
        const Trace trace = read_trace({&lines}, {}, {rated});
        OverloadSettings settings;
        settings.trace = trace.requests;
        const auto found = std::ranges::find(trace.routes, rated);
        settings.limits = {{static_cast<RouteKey>(found - trace.routes.begin()), RateRule::per_second(1, 9)}};
        return run(settings).limits.at(0).asked;
    };
    EXPECT_EQ(asked("GET /a/{id}"), 2U) << "of the third nobody knows";
    EXPECT_EQ(asked("/a"), 3U);
}

} // namespace
} // namespace plimsoll::sim
