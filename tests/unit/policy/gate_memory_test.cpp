// Room for what requests need: the gate's second line.
#include "plimsoll/policy/gate.hpp"

#include <array>
#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "unit/policy/labels.hpp"

namespace plimsoll {
namespace {

using namespace std::chrono_literals;

constexpr CostKey huge = 3, strange = 4, fresh = 5;
constexpr DomainKey cgroup = 1;
constexpr Bytes rest = 25_MiB;

// Four workers of one slot in a cgroup of 600 MiB, of which 100 are held by the workers themselves.
class Room : public testing::Test {
protected:
    Room() : gate(Gate::Settings{}) {
        for (WorkerKey key = 1; key <= 4; ++key) {
            gate.add(key, 1, now);
            gate.accept(key, true, now, events);
            gate.observe(start, key, 0.2, MemorySight{rest, std::nullopt, {cgroup, 0}});
            gate.rose(now, key, {rest, rest, true});
        }
        gate.observe_domain(cgroup, 100_MiB, 600_MiB);
        learn(light, 1_MiB);
        learn(heavy, 200_MiB);
        learn(huge, 400_MiB);
        now += 1min;
    }
    void learn(CostKey label, Bytes need) {
        for (unsigned i = 0; i < MemoryCosts::confident; ++i) {
            const auto taken = ask(label);
            ASSERT_EQ(taken.kind, Gate::Arrival::Kind::admitted);
            end(taken.worker, label);
            gate.rose(now, taken.worker, {rest + need, rest, true});
        }
    }
    Gate::Arrival ask(CostKey label, Priority priority = Priority::normal, Instant deadline = never) {
        Gate::Facts facts;
        facts.label = label;
        facts.priority = priority;
        facts.deadline = deadline;
        return gate.arrive(now, facts, events);
    }
    WorkerKey begin(CostKey label) {
        const auto arrival = ask(label);
        EXPECT_EQ(arrival.kind, Gate::Arrival::Kind::admitted) << "label " << label;
        return arrival.worker;
    }
    void end(WorkerKey worker, CostKey label, Duration took = 100ms) {
        Gate::Departure departure(Outcome::success);
        departure.label = label;
        departure.took = took;
        gate.depart(now, worker, departure, events);
    }
    std::optional<WorkerKey> granted(Ticket ticket) const {
        for (const auto& event : events)
            if (event.ticket == ticket) return event.granted;
        return std::nullopt;
    }

    Instant now{std::chrono::hours{1}};
    Gate gate;
    Gate::Events events;
};

// Between the moment in which what is held begins anew and the one in which that is told a request may end that held much of it.
TEST_F(Room, what_ends_while_memory_is_read_is_not_the_doing_of_those_who_come_next) {
    for (WorkerKey key = 2; key <= 4; ++key) gate.accept(key, false, now, events);
    for (int i = 0; i < 20; ++i) {
        begin(heavy);
        gate.about_to_read(1);
        end(1, heavy);
        gate.rose(now, 1, {rest + 200_MiB, rest + 200_MiB, false});
        begin(light);
        end(1, light);
        gate.rose(now, 1, {rest + 200_MiB, rest, true});
    }
    EXPECT_LE(gate.costs().expected(light), 2_MiB);
    EXPECT_GE(gate.costs().expected(heavy), 190_MiB);
}

TEST_F(Room, nobody_is_refused_for_memory_while_it_is_workers_that_are_missing) {
    for (WorkerKey key = 1; key <= 4; ++key) gate.accept(key, false, now, events); // drained, all of them
    EXPECT_EQ(ask(heavy).kind, Gate::Arrival::Kind::queued);
    for (int i = 0; i < 20; ++i, now += 100ms) EXPECT_EQ(ask(heavy).kind, Gate::Arrival::Kind::queued) << i;
    gate.accept(1, true, now, events);
    gate.accept(2, true, now, events);
    gate.accept(3, true, now, events);
    gate.accept(4, true, now, events);
    EXPECT_EQ(ask(heavy).kind, Gate::Arrival::Kind::queued) << "they are only beginning to be served";
    now += 3s;
    EXPECT_EQ(ask(heavy).reason, Reason::memory) << "now the line stands";
}

TEST_F(Room, who_waits_for_a_slot_is_not_refused_for_memory) {
    for (int i = 0; i < 4; ++i) begin(light); // and they take their time
    for (CostKey stranger = 100; stranger < 120; ++stranger, now += 100ms)
        EXPECT_NE(ask(stranger).reason, Reason::memory) << stranger;
}

TEST_F(Room, who_waited_in_vain_for_a_slot_is_told_so_and_not_that_memory_is_short) {
    for (int i = 0; i < 4; ++i) begin(light); // and they go on for ever
    ASSERT_EQ(ask(strange).kind, Gate::Arrival::Kind::queued);
    now += 6s;
    gate.expire(now, events);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].reason, Reason::queue_timeout);
}

TEST_F(Room, two_heavy_ones_begin_the_third_waits_and_light_ones_pass_it_by) {
    const WorkerKey first = begin(heavy);
    begin(heavy);
    const auto third = ask(heavy);
    ASSERT_EQ(third.kind, Gate::Arrival::Kind::queued) << "two slots are free, but no room";
    EXPECT_EQ(gate.stats().memory_waiting, 1U);
    for (int i = 0; i < 100; ++i) end(begin(light), light, 5ms);
    EXPECT_FALSE(granted(third.ticket));
    end(first, heavy);
    EXPECT_TRUE(granted(third.ticket)) << "there is room now";
    EXPECT_EQ(gate.stats().memory_waiting, 0U);
}

TEST_F(Room, what_one_worker_gives_back_is_room_at_another) {
    const WorkerKey first = begin(heavy), second = begin(heavy);
    const auto third = ask(heavy);
    begin(light);
    begin(light);                           // all four are busy
    gate.accept(first, false, now, events); // it drains: its slot is for nobody
    end(first, heavy);
    EXPECT_FALSE(granted(third.ticket));
    end(second, heavy);
    gate.rose(now, second, {rest + 200_MiB, rest, true}); // it was the first one there, and has left nothing behind
    gate.expire(now, events);
    EXPECT_EQ(granted(third.ticket), second);
}

TEST_F(Room, of_a_label_that_nobody_knows_one_runs_at_a_time_for_a_quarter_of_a_second) {
    begin(strange);
    const auto second = ask(strange);
    ASSERT_EQ(second.kind, Gate::Arrival::Kind::queued);
    now += 240ms;
    gate.expire(now, events);
    EXPECT_FALSE(granted(second.ticket));
    now += 20ms;
    gate.expire(now, events);
    EXPECT_TRUE(granted(second.ticket)) << "what is merely slow must not stand still to be learned";
}

TEST_F(Room, of_slow_strangers_twice_as_many_run_with_each_quarter_of_a_second) {
    for (WorkerKey key = 5; key <= 40; ++key) {
        gate.add(key, 1, now);
        gate.accept(key, true, now, events);
        gate.observe(start, key, 0.2, MemorySight{rest, std::nullopt, {cgroup, 0}});
    }
    const Instant first = now;
    const auto in_flight = [&] {
        unsigned sum = 0;
        for (const auto& worker : gate.stats().workers) sum += worker.in_flight;
        return sum;
    };
    std::vector<unsigned> running;
    for (int i = 0; i < 30; ++i) ask(strange);
    for (; now < first + 1100ms; now += 10ms) {
        gate.expire(now, events);
        if (running.empty() || in_flight() != running.back()) running.push_back(in_flight());
    }
    EXPECT_EQ(running, (std::vector<unsigned>{1, 2, 4, 8, 16}));
    EXPECT_NE(ask(strange).reason, Reason::memory) << "they wait to be learned, and for nothing else";
}

TEST_F(Room, what_a_stranger_shows_while_it_runs_is_its_first_estimate) {
    const WorkerKey first = begin(strange);
    const auto second = ask(strange), third = ask(strange), fourth = ask(strange);
    gate.shows(now, first, rest + 190_MiB);
    now += MemoryAdmission::cold_wait;
    gate.expire(now, events);
    EXPECT_TRUE(granted(second.ticket)) << "two of them fit";
    EXPECT_FALSE(granted(third.ticket)) << "three do not, known or not";
    EXPECT_FALSE(granted(fourth.ticket));
}

TEST_F(Room, one_that_has_ended_lets_the_next_stranger_of_its_label_in) {
    const WorkerKey worker = begin(strange);
    const auto second = ask(strange);
    end(worker, strange);
    EXPECT_TRUE(granted(second.ticket));
}

TEST_F(Room, strangers_of_other_labels_do_not_wait_behind_those_who_need_much) {
    begin(heavy);
    begin(heavy);
    ASSERT_EQ(ask(heavy).kind, Gate::Arrival::Kind::queued);
    const WorkerKey worker = begin(strange);
    end(worker, strange);
    gate.rose(now, worker, {rest + 1_MiB, rest, true});
    begin(strange); // one reading is not enough to know it, but so far it has shown no need
}

TEST_F(Room, a_label_ceases_to_be_strange_after_five_seconds_whatever_was_learned) {
    begin(strange);
    now += MemoryCosts::cold_for;
    begin(strange);
    begin(strange);
}

TEST_F(Room, who_needs_a_lot_is_not_overtaken_for_ever_by_those_who_need_less) {
    const WorkerKey first = begin(heavy);
    const auto big = ask(huge);
    ASSERT_EQ(big.kind, Gate::Arrival::Kind::queued);
    const auto later = ask(heavy);
    EXPECT_EQ(later.kind, Gate::Arrival::Kind::queued) << "it would fit, but somebody came first";
    end(first, heavy);
    EXPECT_TRUE(granted(big.ticket));
    EXPECT_FALSE(granted(later.ticket));
}

TEST_F(Room, a_stranger_of_a_heavy_family_does_not_wait_for_ever_though_it_never_fits_and_nobody_is_idle) {
    constexpr CostKey family = 1100, stranger = 20;
    gate.configure({.queue_timeout = 60s});
    for (int i = 0; i < 4; ++i) gate.costs().rose(std::array{Ran{family}}, 400_MiB, 8_MiB);
    gate.costs().take_over(stranger, family, MemoryCosts::Likeness::of_a_family);
    begin(heavy), begin(heavy);
    const auto waits = ask(stranger);
    ASSERT_EQ(waits.kind, Gate::Arrival::Kind::queued) << "it is taken for one that needs 400 MiB";
    now += MemoryCosts::family_for;
    gate.expire(now, events);
    EXPECT_TRUE(granted(waits.ticket));
}

TEST_F(Room, where_the_bound_is_full_of_those_who_wait_for_memory_the_youngest_lower_one_gives_way) {
    gate.configure({.queue_size = 2});
    begin(heavy), begin(heavy);
    const auto older = ask(heavy, Priority::sheddable), younger = ask(heavy, Priority::sheddable);
    begin(light), begin(light); // no slot is free
    EXPECT_EQ(ask(light, Priority::sheddable).reason, Reason::queue_full);
    const auto critical = ask(light, Priority::critical);
    ASSERT_EQ(critical.kind, Gate::Arrival::Kind::queued);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].ticket, younger.ticket);
    EXPECT_EQ(events[0].reason, Reason::queue_full);
    EXPECT_TRUE(gate.leave(now, older.ticket));
}

TEST_F(Room, among_a_thousand_free_workers_one_with_room_is_found_though_few_are_looked_at_at_a_time) {
    constexpr DomainKey full = 2;
    end(begin(heavy), heavy); // nobody tries it out
    for (WorkerKey key = 10; key < 1010; ++key) {
        gate.add(key, 1, now);
        gate.accept(key, true, now, events);
        gate.observe(start, key, 0.2, MemorySight{25_MiB, std::nullopt, {full, 0}});
    }
    for (WorkerKey key = 1; key <= 4; ++key) gate.accept(key, key == 4, now, events);
    gate.observe_domain(full, 590_MiB, 600_MiB); // nothing ran there before
    const auto waits = ask(heavy);               // worker 4 alone has room
    ASSERT_EQ(waits.kind, Gate::Arrival::Kind::queued) << "it was found by chance";
    for (int i = 0; i < 70 && !granted(waits.ticket); ++i) end(begin(light), light, 5ms);
    EXPECT_EQ(granted(waits.ticket), WorkerKey{4});
}

TEST_F(Room, under_overload_strangers_do_not_wait_where_nobody_else_may) {
    for (WorkerKey key = 1; key <= 4; ++key) begin(light);
    const auto stranger = ask(strange, Priority::sheddable), needy = ask(heavy, Priority::sheddable);
    ASSERT_EQ(stranger.kind, Gate::Arrival::Kind::queued);
    ASSERT_EQ(needy.kind, Gate::Arrival::Kind::queued);
    events.clear();
    for (unsigned i = 0; i < 3200; ++i) { // four seconds in which four times as much is asked as can be done
        now += 1250us;
        for (int each = 0; each < 4; ++each) ask(light);
        end(i % 4 + 1, light, 5ms);
    }
    ASSERT_TRUE(gate.stats().overloaded);
    const auto told = [&](Ticket ticket) {
        for (const auto& event : events)
            if (event.ticket == ticket) return event.reason;
        return Reason::none;
    };
    EXPECT_EQ(told(stranger.ticket), Reason::concurrency);
    EXPECT_EQ(told(needy.ticket), Reason::none) << "it waits for room";
}

TEST_F(Room, under_overload_who_is_not_known_yet_is_turned_away_before_anybody_is_asked_about_him) {
    for (WorkerKey key = 1; key <= 4; ++key) begin(light);
    for (unsigned i = 0; i < 3200; ++i) { // four seconds in which four times as much is asked as can be done
        now += 1250us;
        for (int each = 0; each < 4; ++each) ask(light);
        end(i % 4 + 1, light, 5ms);
    }
    ASSERT_TRUE(gate.stats().overloaded);
    for (const auto label : {strange, heavy, light}) {
        const Gate::Facts facts{.priority = Priority::sheddable, .draw = 0.5, .label = label};
        EXPECT_TRUE(gate.turns_away(now, facts)) << label;
        EXPECT_EQ(gate.arrive(now, facts, events).reason, Reason::concurrency) << label;
    }
}

TEST_F(Room, a_critical_one_goes_first) {
    const WorkerKey first = begin(heavy);
    begin(heavy);
    const auto normal = ask(heavy), critical = ask(heavy, Priority::critical);
    end(first, heavy);
    EXPECT_TRUE(granted(critical.ticket));
    EXPECT_FALSE(granted(normal.ticket));
}

TEST_F(Room, one_whose_deadline_has_passed_is_in_nobodys_way) {
    const WorkerKey first = begin(heavy);
    begin(heavy);
    ASSERT_EQ(ask(huge, Priority::normal, now + 50ms).kind, Gate::Arrival::Kind::queued);
    const auto next = ask(heavy);
    now += 60ms; // and nobody has told him yet
    end(first, heavy);
    EXPECT_TRUE(granted(next.ticket));
}

TEST_F(Room, a_line_that_stands_takes_nobody_more) {
    begin(heavy);
    begin(heavy);
    ASSERT_EQ(ask(heavy).kind, Gate::Arrival::Kind::queued);
    now += 2s; // far more than a few times what they take
    gate.expire(now, events);
    const auto refused = ask(heavy);
    ASSERT_EQ(refused.kind, Gate::Arrival::Kind::refused);
    EXPECT_EQ(refused.reason, Reason::memory);
    EXPECT_GE(refused.retry_after, 2s);
}

TEST_F(Room, who_waits_for_memory_is_told_so_when_the_time_is_over) {
    begin(heavy);
    begin(heavy);
    const auto third = ask(heavy);
    now += 6s;
    gate.expire(now, events);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].ticket, third.ticket);
    EXPECT_EQ(events[0].reason, Reason::memory);
    EXPECT_TRUE(gate.leave(now, third.ticket) == false);
}

TEST_F(Room, what_never_fits_is_tried_again_now_and_then_when_nobody_else_is_there) {
    for (int i = 0; i < 2; ++i) gate.observe_domain(cgroup, 500_MiB, 600_MiB); // a leak, seen at rest
    begin(heavy);
    const auto second = ask(heavy);
    ASSERT_EQ(second.kind, Gate::Arrival::Kind::queued);
}

TEST_F(Room, a_worker_has_a_limit_of_its_own) {
    for (WorkerKey key = 1; key <= 4; ++key) gate.observe(start, key, 0.2, MemorySight{25_MiB, 300_MiB, {}});
    gate.observe_domain(cgroup, std::nullopt, std::nullopt);
    for (int i = 0; i < 4; ++i) begin(heavy);
    gate.set_slots(1, 2, now, events);
    EXPECT_EQ(ask(heavy).kind, Gate::Arrival::Kind::queued) << "two of 200 in a worker of 300";
}

TEST_F(Room, a_cgroup_that_somebody_else_has_filled_sheds_though_its_workers_are_small) {
    const auto look = [&] {
        for (WorkerKey key = 1; key <= 4; ++key)
            gate.observe(start, key, 0.2, MemorySight{25_MiB, std::nullopt, {cgroup, 0}});
    };
    for (int reading = 0; reading < 2; ++reading)      // what ran before the first may explain that one
        gate.observe_domain(cgroup, 588_MiB, 600_MiB); // 98 %: a sidecar, a tmpfs
    look();
    EXPECT_EQ(ask(light, Priority::sheddable).reason, Reason::memory);
    EXPECT_EQ(ask(light, Priority::normal).reason, Reason::memory);
    end(ask(light, Priority::critical).worker, light);
    gate.observe_domain(cgroup, 100_MiB, 600_MiB);
    look();
    EXPECT_EQ(ask(light, Priority::sheddable).kind, Gate::Arrival::Kind::admitted);
}

TEST_F(Room, what_requests_in_flight_were_promised_sheds_nobody) {
    begin(heavy);
    begin(heavy);
    gate.observe_domain(cgroup, 550_MiB, 600_MiB); // they hold nearly all of it, and may
    for (WorkerKey key = 1; key <= 4; ++key)
        gate.observe(start, key, 0.2, MemorySight{25_MiB, std::nullopt, {cgroup, 0}});
    EXPECT_EQ(ask(light, Priority::sheddable).kind, Gate::Arrival::Kind::admitted);
}

TEST_F(Room, a_host_sheds_later_than_a_cgroup) {
    constexpr DomainKey host = 2;
    const auto shed_at = [&](std::int64_t percent) {
        gate.observe_domain(host, Bytes{percent * 10'000'000}, Bytes{1'000'000'000});
        for (WorkerKey key = 1; key <= 4; ++key)
            gate.observe(start, key, 0.2, MemorySight{25_MiB, std::nullopt, {cgroup, host}});
        const auto arrival = ask(light, Priority::sheddable);
        if (arrival.kind == Gate::Arrival::Kind::admitted) end(arrival.worker, light);
        return arrival.reason == Reason::memory;
    };
    EXPECT_FALSE(shed_at(90)) << "a database that fills its host is no reason";
    EXPECT_TRUE(shed_at(97));
}

TEST_F(Room, a_worker_in_a_cgroup_with_room_takes_those_whom_a_full_one_would_shed) {
    constexpr DomainKey full = 2;
    gate.observe_domain(full, 590_MiB, 600_MiB); // nothing ran there before
    for (WorkerKey key = 1; key <= 3; ++key)
        gate.observe(start, key, 0.2, MemorySight{25_MiB, std::nullopt, {full, 0}});
    for (int i = 0; i < 20; ++i) {
        const WorkerKey worker = begin(light);
        EXPECT_EQ(worker, WorkerKey{4}) << i;
        end(worker, light);
    }
}

TEST_F(Room, nobody_is_refused_where_no_limit_is_known) {
    gate.observe_domain(cgroup, std::nullopt, std::nullopt);
    for (int i = 0; i < 4; ++i) begin(heavy);
}

TEST_F(Room, in_shadow_it_counts_and_lets_everybody_in) {
    Gate::Settings shadow;
    shadow.memory_mode = Mode::shadow;
    gate.configure(shadow);
    for (int i = 0; i < 4; ++i) begin(heavy);
    EXPECT_EQ(gate.stats().shadow.memory_waits, 2U);
    EXPECT_EQ(gate.stats().shadow_refused[index(Reason::memory)], 0U) << "they would have waited, and then begun";
}

// Each worker has 300 MiB for itself, and the first request of a label loads 150 for good.
class Model : public Room {
protected:
    Model() {
        gate.observe_domain(cgroup, std::nullopt, std::nullopt);
        for (WorkerKey key = 1; key <= 4; ++key) gate.observe(start, key, 0.2, MemorySight{rest, 300_MiB, {}});
        for (WorkerKey key = 2; key <= 4; ++key) gate.accept(key, false, now, events); // it has one place to go
        end(begin(strange), strange);
        now += MemoryAdmission::cold_wait;
    }
};

TEST_F(Model, what_the_first_one_left_behind_is_no_need_of_the_next) {
    gate.rose(now, 1, {rest + 160_MiB, rest + 150_MiB, true});
    gate.observe(start, 1, 0.6, MemorySight{rest + 150_MiB, 300_MiB, {}});
    for (int i = 0; i < 10; ++i) {
        end(begin(strange), strange);
        gate.rose(now, 1, {rest + 160_MiB, rest + 150_MiB, true});
    }
    EXPECT_EQ(gate.costs().at_first(strange), 160_MiB) << "in another process it is one";
}

TEST_F(Model, before_it_was_read_what_stays_the_next_one_waits_there_for_a_moment) {
    gate.remove(1);
    gate.accept(2, true, now, events);
    const WorkerKey worker = begin(strange);
    gate.shows(now, worker, rest + 155_MiB);
    const auto next = ask(strange);
    end(worker, strange);
    EXPECT_FALSE(granted(next.ticket));
    gate.rose(now, worker, {rest + 160_MiB, rest + 150_MiB, true});
    gate.expire(now, events);
    EXPECT_TRUE(granted(next.ticket));
}

TEST_F(Model, before_it_was_read_the_next_one_does_not_wait_for_ever) {
    gate.remove(1);
    gate.accept(2, true, now, events);
    const WorkerKey worker = begin(strange);
    gate.shows(now, worker, rest + 155_MiB);
    const auto next = ask(strange);
    end(worker, strange);
    EXPECT_FALSE(granted(next.ticket));
    now += MemoryAdmission::cold_wait;
    gate.expire(now, events);
    EXPECT_TRUE(granted(next.ticket)) << "memory is hardly ever read here";
}

// In a worker of two threads; the second one waits for the model that the first one loads, and is still there when that has ended.
TEST_F(Model, two_that_are_the_first_ones_at_once_load_one_model) {
    gate.remove(1);
    gate.add(5, 2, now);
    gate.accept(5, true, now, events);
    gate.observe(start, 5, 0.2, MemorySight{rest, 600_MiB, {}});
    gate.rose(now, 5, {rest, rest, true});
    begin(fresh);
    now += MemoryAdmission::cold_wait;
    begin(fresh);
    now += MemoryAdmission::cold_wait;
    end(5, fresh);
    gate.rose(now, 5, {rest + 170_MiB, rest + 160_MiB, false});
    end(5, fresh);
    gate.rose(now, 5, {rest + 160_MiB, rest + 150_MiB, true});
    EXPECT_LE(gate.costs().expected(fresh), 90_MiB) << "two of them, and half of the model";
    EXPECT_LE(gate.costs().at_first(fresh), 170_MiB);
    for (int i = 0; i < 2; ++i) {
        end(begin(fresh), fresh);
        gate.rose(now, 5, {rest + 160_MiB, rest + 150_MiB, true});
    }
    EXPECT_LE(gate.costs().expected(fresh), 20_MiB);
}

// 280 of 300 MiB, as one reading had it: that never fits.
TEST_F(Model, an_estimate_that_is_too_high_is_given_up_when_one_was_let_in_and_did_not_need_it) {
    gate.rose(now, 1, {rest + 290_MiB, rest + 1_MiB, true});
    ASSERT_TRUE(gate.never_fits(strange));
    now += MemoryAdmission::first_try;
    end(begin(strange), strange);
    gate.rose(now, 1, {rest + 5_MiB, rest + 1_MiB, true});
    EXPECT_FALSE(gate.never_fits(strange));
    begin(strange);
}

// Beside the workers and 350 MiB of somebody else there is room for a heavy one, and never for a huge one.
class LittleRoom : public Room {
protected:
    LittleRoom() {
        for (int twice = 0; twice < 2; ++twice)
            gate.observe_domain(cgroup, 250_MiB, 600_MiB); // nobody ran between them
        const auto tries = ask(huge);                      // nobody has for half a minute
        end(tries.worker, huge);
    }
};

TEST_F(LittleRoom, who_would_never_fit_is_in_nobodys_way) {
    EXPECT_EQ(ask(huge).kind, Gate::Arrival::Kind::queued);
    const auto worker = begin(heavy);
    const auto next = ask(heavy);
    EXPECT_EQ(next.kind, Gate::Arrival::Kind::queued) << "one fits, two do not";
    now += 3s; // of which nobody concludes that those who fit wait too long
    EXPECT_EQ(ask(heavy).kind, Gate::Arrival::Kind::refused) << "but for the one before it";
    end(worker, heavy);
    EXPECT_TRUE(granted(next.ticket));
    end(*granted(next.ticket), heavy);
    EXPECT_EQ(ask(heavy).kind, Gate::Arrival::Kind::admitted);
}

TEST_F(LittleRoom, now_and_then_one_that_would_not_fit_is_let_in_alone_all_the_same) {
    const auto worker = begin(heavy);
    const auto stubborn = ask(huge, Priority::normal);
    ASSERT_EQ(stubborn.kind, Gate::Arrival::Kind::queued);
    begin(light); // is always there
    now += MemoryAdmission::try_again;
    EXPECT_NE(ask(heavy).kind, Gate::Arrival::Kind::admitted) << "now it is its turn";
    end(worker, heavy);
    EXPECT_TRUE(granted(stubborn.ticket));
}

TEST_F(LittleRoom, nobody_is_alone_where_another_pool_has_promised_room) {
    const auto stubborn = ask(huge);
    ASSERT_EQ(stubborn.kind, Gate::Arrival::Kind::queued);
    now += MemoryAdmission::try_again;
    gate.promised_elsewhere(cgroup, 200_MiB);
    end(begin(light), light);
    EXPECT_FALSE(granted(stubborn.ticket));
    gate.promised_elsewhere(cgroup, {});
    end(begin(light), light);
    EXPECT_TRUE(granted(stubborn.ticket));
}

TEST_F(Room, other_pools_are_told_of_those_who_need_much_and_of_nobody_else) {
    gate.promises_moved();
    const WorkerKey small = begin(light);
    EXPECT_FALSE(gate.promises_moved());
    EXPECT_EQ(gate.promised_to_weighty(cgroup), Bytes{});
    const WorkerKey stranger = begin(strange);
    EXPECT_FALSE(gate.promises_moved());
    gate.shows(now, stranger, rest + 190_MiB);
    EXPECT_TRUE(gate.promises_moved());
    EXPECT_GE(gate.promised_to_weighty(cgroup), 190_MiB);
    end(stranger, strange);
    EXPECT_TRUE(gate.promises_moved());
    EXPECT_EQ(gate.promised_to_weighty(cgroup), Bytes{}) << "the light one beside it is the margin's business again";
    end(small, light);
}

} // namespace
} // namespace plimsoll
