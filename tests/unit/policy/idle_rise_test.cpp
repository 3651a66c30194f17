// What a worker's memory does by itself, as readings show it: those of src/fleet/peaks.cpp, of a worker that follows a script.
#include "plimsoll/policy/idle_rise.hpp"

#include <cmath>
#include <functional>

#include <gtest/gtest.h>

#include "plimsoll/fleet/idle_looks.hpp"
#include "plimsoll/policy/memory_admission.hpp"
#include "unit/policy/labels.hpp"

namespace plimsoll {
namespace {

using namespace std::chrono_literals;

Bytes mebibytes(double amount) { return Bytes{static_cast<std::int64_t>(amount * (1 << 20))}; }

class Script {
public:
    using Holds = std::function<Bytes(Duration since_the_begin)>;

    Script() {
        admission.came();
        admission.observe(place, {base, 1024_MiB, {}});
    }
    void go_on(Duration span) {
        for (const Instant end = now + span; now < end; now += 1ms) {
            held_ = (running_ ? need_ : Bytes{}) + (thread ? thread(now - Instant{}) : base);
            highest_ = std::max(highest_, held_);
            if ((now - Instant{}) % IdleLooks::step == 0ms) look();
        }
    }
    void ask(CostKey label, Bytes need, Duration takes) {
        begin(label, need);
        go_on(takes);
        end(label);
    }
    void begin(CostKey label, Bytes need) {
        admission.begin(now, place, label);
        ++in_flight_;
        work(need);
    }
    void end(CostKey label, MemoryAdmission::End how = MemoryAdmission::End::done) {
        admission.end(now, place, label, how);
        --in_flight_;
        work({});
    }
    void work(Bytes need) { // of the application, whoever waits for it
        running_ = need.count > 0;
        need_ = need;
    }
    Bytes expected(CostKey label) const { return admission.costs().expected(label); }

    static constexpr Bytes base = 100_MiB;
    Instant now = Instant{} + 100s;
    Holds thread; // beside all requests; empty: `base`
    MemoryAdmission admission;
    MemoryAdmission::Place place;

private:
    void look() {
        const bool idle = in_flight_ == 0 && looks_.due(now) != IdleLooks::Due::no;
        if (!looks_.was_read() || admission.worth_reading(now, place, looks_.last_reading(), 1s) ||
            (idle && looks_.moved(now, highest_, held_)))
            read();
    }
    void read() {
        looks_.read(now, highest_, held_);
        place.running.about_to_read();
        admission.rose(now, place, {highest_, held_, admission.quiet(now, place)});
        highest_ = held_;
    }

    IdleLooks looks_;
    Bytes held_ = base, highest_ = base, need_;
    bool running_ = false;
    unsigned in_flight_ = 0;
};

// 250 MiB every `every`, built in `building` and given back after as long again.
Script::Holds builds(Duration every, Duration building) {
    return [=](Duration since) {
        const double at = std::chrono::duration<double>(since % every) / std::chrono::duration<double>(building);
        return Script::base + (at < 1 ? mebibytes(250 * at) : at < 2 ? 250_MiB : 0_MiB);
    };
}

TEST(IdleRise, is_told_whole_however_often_it_is_looked_at) {
    IdleRise rise;
    EXPECT_EQ(rise.read(Instant{} + 1s, 100_MiB, 150_MiB).whole, 50_MiB);
    const auto seen = rise.read(Instant{} + 1025ms, 150_MiB, 200_MiB);
    EXPECT_EQ(seen.whole, 100_MiB);
    EXPECT_EQ(seen.before, 50_MiB);
    EXPECT_EQ(rise.read(Instant{} + 1050ms, 200_MiB, 200_MiB).whole, 0_MiB) << "it rises no more";
    EXPECT_EQ(rise.read(Instant{} + 1060ms, 120_MiB, 140_MiB).whole, 20_MiB) << "it fell meanwhile";
    EXPECT_EQ(rise.read(Instant{} + 1065ms, 200_MiB, 200_MiB).whole, 0_MiB);
    EXPECT_EQ(rise.read(Instant{} + 1075ms, 200_MiB, 220_MiB).whole, 20_MiB) << "another one";
    rise.over();
    EXPECT_EQ(rise.read(Instant{} + 1100ms, 220_MiB, 250_MiB).whole, 30_MiB) << "what a request did lies between";
    EXPECT_EQ(rise.read(Instant{} + 3s, 250_MiB, 260_MiB).whole, 10_MiB) << "a step of its own";
    for (int i = 1; i < 60; ++i) EXPECT_LE(rise.read(Instant{} + 3s + i * 250ms, 260_MiB, 261_MiB).whole, 21_MiB) << i;
}

class ByItself : public testing::TestWithParam<int> {};

// It is known for what it is before anybody is there to be blamed.
TEST_P(ByItself, a_thread_that_was_seen_while_nothing_ran_is_blamed_on_nobody) {
    Script worker;
    for (int i = 0; i < 5; ++i) {
        worker.ask(light, 1_MiB, 10ms);
        worker.go_on(1200ms);
    }
    worker.thread = builds(2s, std::chrono::milliseconds{GetParam()});
    worker.go_on(8s);
    for (int i = 0; i < 20; ++i) worker.ask(light, 1_MiB, 900ms);
    EXPECT_LT(worker.expected(light), worker.admission.light()) << to_string(worker.expected(light));
}

TEST_P(ByItself, who_was_blamed_for_a_thread_under_steady_traffic_is_cleared_by_a_rest) {
    Script worker;
    worker.thread = builds(2s, std::chrono::milliseconds{GetParam()});
    for (int i = 0; i < 400; ++i) {
        worker.ask(light, 1_MiB, 100ms);
        worker.go_on(50ms);
    }
    worker.go_on(20s);
    EXPECT_LT(worker.expected(light), worker.admission.light()) << to_string(worker.expected(light));
}

INSTANTIATE_TEST_SUITE_P(BuiltIn, ByItself, testing::Values(10, 60, 100, 250, 400),
                         [](const auto& each) { return std::to_string(each.param) + "_ms"; });

// The application goes on with it, and whoever gave up is not seen in flight. Every second one needs little.
TEST(MemoryAdmission, who_is_heavy_in_its_answered_requests_stays_heavy_after_many_that_were_given_up) {
    Script worker;
    for (int i = 0; i < 50; ++i) {
        worker.ask(heavy, i % 2 == 0 ? 200_MiB : 1_MiB, 100ms);
        worker.go_on(100ms);
    }
    ASSERT_GT(worker.expected(heavy), 190_MiB);
    for (int i = 0; i < 20; ++i) {
        worker.begin(heavy, 0_MiB);
        worker.go_on(50ms);
        worker.end(heavy, MemoryAdmission::End::unseen);
        worker.ask(light, 0_MiB, 20ms); // which is read, and so nobody has run since that
        worker.go_on(30ms);
        worker.work(200_MiB);
        worker.go_on(200ms);
        worker.work({});
        worker.go_on(1s);
    }
    EXPECT_GT(worker.expected(heavy), 190_MiB) << to_string(worker.expected(heavy));
}

// A worker that restarts refuses connections: no request has shown there what it needs.
class Refusing : public testing::Test {
protected:
    void refuse(int many) {
        for (int i = 0; i < many; ++i) worker.begin(heavy, 0_MiB);
        for (int i = 0; i < many; ++i) worker.end(heavy, MemoryAdmission::End::refused);
        worker.go_on(30ms);
    }
    Script worker;
};

TEST_F(Refusing, does_not_show_that_requests_need_little) {
    for (int i = 0; i < 10; ++i) {
        worker.ask(heavy, 200_MiB, 100ms);
        worker.go_on(100ms);
    }
    for (int i = 0; i < 1000; ++i) refuse(1);
    EXPECT_GT(worker.expected(heavy), 190_MiB) << to_string(worker.expected(heavy));
}

TEST_F(Refusing, leaves_strangers_what_they_were) {
    for (int i = 0; i < 300; ++i) refuse(20);
    EXPECT_TRUE(worker.admission.weighs(worker.now, heavy)) << "for longer than one is a stranger";
    worker.go_on(1min);
    worker.ask(heavy, 200_MiB, 100ms);
    worker.go_on(100ms);
    EXPECT_GT(worker.expected(heavy), 190_MiB) << "it was alone: " << to_string(worker.expected(heavy));
}

// Where memory is never read nobody would ever be known, and one request of each would run at a time.
TEST_F(Refusing, makes_no_strangers_of_those_whom_another_worker_serves) {
    MemoryAdmission::Place other;
    worker.admission.came();
    worker.admission.observe(other, {std::nullopt, 1024_MiB, {}});
    for (int i = 0; i < 300; ++i) {
        worker.admission.begin(worker.now, other, heavy);
        worker.admission.end(worker.now, other, heavy);
        worker.admission.begin(worker.now, worker.place, heavy);
        worker.admission.end(worker.now, worker.place, heavy, MemoryAdmission::End::refused);
        worker.now += 20ms;
    }
    EXPECT_FALSE(worker.admission.weighs(worker.now, heavy));
}

TEST_F(Refusing, leaves_it_to_the_next_to_be_the_first) {
    auto& served = worker.place.served;
    refuse(3);
    EXPECT_FALSE(served[heavy]);
    worker.begin(heavy, 0_MiB);
    refuse(1);
    EXPECT_TRUE(served[heavy]) << "one runs";
    worker.end(heavy);
    worker.go_on(2s);
    refuse(1);
    EXPECT_TRUE(served[heavy]) << "one has run";
}

TEST_F(Refusing, takes_nothing_from_what_was_seen_of_others) {
    using Work = RunningLabels::Work;
    RunningLabels running;
    running.begin(heavy, {});
    running.begin(heavy, {});
    running.end(heavy);
    running.end(heavy);
    for (int i = 0; i < 3; ++i) {
        running.begin(heavy, {});
        running.end(heavy, Work::none);
    }
    ASSERT_EQ(running.ran().size(), 1U);
    EXPECT_EQ(running.ran()[0].at_once, 2U);
    EXPECT_TRUE(running.ran()[0].ended);
    running.about_to_read();
    running.next_reading();
    EXPECT_TRUE(running.ran().empty());
}

TEST_F(Refusing, leaves_nothing_behind) {
    RunningLabels running;
    running.begin_first(heavy, 250_MiB, 200_MiB);
    const auto given = running.end(heavy, RunningLabels::Work::none);
    EXPECT_EQ(given.kept, 0_MiB);
    EXPECT_EQ(given.promised, 250_MiB);
    EXPECT_EQ(running.promised(), 0_MiB);
    EXPECT_TRUE(running.ran().empty());
}

} // namespace
} // namespace plimsoll
