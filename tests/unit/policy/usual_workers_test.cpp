#include "plimsoll/policy/usual_workers.hpp"

#include <gtest/gtest.h>

#include "plimsoll/policy/gate.hpp"
#include "unit/policy/start.hpp"

namespace plimsoll {
namespace {

using namespace std::chrono_literals;

// So many accept for so long, looked at ten times a second.
void pass(UsualWorkers& usual, Instant& now, std::size_t accepting, Duration how_long) {
    for (const Instant end = now + how_long; now < end; now += 100ms) usual.look(now, accepting);
}

TEST(UsualWorkers, one_that_was_there_a_moment_ago_is_missing_for_half_a_minute) {
    UsualWorkers usual;
    Instant now = start;
    pass(usual, now, 4, 10s);
    pass(usual, now, 3, 29s);
    EXPECT_TRUE(usual.missing(3));
    pass(usual, now, 3, 2s);
    EXPECT_FALSE(usual.missing(3)) << "so few are what there is";
    EXPECT_TRUE(usual.missing(2));
}

TEST(UsualWorkers, one_that_dies_again_and_again_is_not_missed_for_ever) {
    UsualWorkers usual;
    Instant now = start;
    pass(usual, now, 4, 1min);
    for (int i = 0; i < 3; ++i) {
        pass(usual, now, 3, 19s);
        pass(usual, now, 4, 1s);
    }
    pass(usual, now, 3, 5s);
    EXPECT_FALSE(usual.missing(3));
    pass(usual, now, 4, 1min); // it has come to stay
    pass(usual, now, 3, 5s);
    EXPECT_TRUE(usual.missing(3));
}

TEST(UsualWorkers, time_that_nobody_looked_at_is_no_time_in_which_one_was_missing) {
    UsualWorkers usual;
    usual.look(start, 4);
    usual.look(start + 1s, 3);
    usual.look(start + 1h, 3);
    EXPECT_TRUE(usual.missing(3));
}

// Four workers of 200 ms are asked for twice what they can do, and one of them dies every 20 s.
TEST(UsualWorkers, a_worker_that_flaps_does_not_keep_overload_from_being_seen) {
    Gate gate{Gate::Settings{}};
    Gate::Events events;
    Instant now = start;
    struct Running {
        Instant until;
        WorkerKey worker;
    };
    std::vector<Running> running;
    for (WorkerKey key = 1; key <= 4; ++key) {
        gate.add(key, 1, now);
        gate.accept(key, true, now, events);
    }
    unsigned refused_late = 0, refused_at_once = 0;
    for (int step = 0; step < 12'000; ++step, now += 10ms) { // two minutes
        if (step % 2000 == 500) gate.accept(4, false, now, events);
        if (step % 2000 == 400) gate.accept(4, true, now, events);
        std::erase_if(running, [&](const Running& each) {
            if (each.until > now) return false;
            Gate::Departure departure(Outcome::success);
            departure.took = 200ms;
            gate.depart(now, each.worker, departure, events);
            return true;
        });
        if (step % 100 < 40) { // 40 a second
            const auto arrival = gate.arrive(now, {}, events);
            if (arrival.kind == Gate::Arrival::Kind::admitted) running.push_back({now + 200ms, arrival.worker});
            refused_at_once += arrival.reason == Reason::concurrency && now > start + 80s;
        }
        gate.expire(now, events);
        for (const auto& event : events) {
            if (event.granted) running.push_back({now + 200ms, *event.granted});
            refused_late += event.reason == Reason::queue_timeout && now > start + 80s;
        }
        events.clear();
    }
    EXPECT_GT(refused_at_once, 100U) << refused_late << " waited in vain for five seconds";
    EXPECT_LT(refused_late, refused_at_once / 10);
}

} // namespace
} // namespace plimsoll
