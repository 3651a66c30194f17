// What memory admission in shadow says that it would have refused, beside what it refuses when it is enforced.
#include "plimsoll/policy/shadow_line.hpp"

#include <map>
#include <random>

#include <gtest/gtest.h>

#include "plimsoll/policy/gate.hpp"
#include "unit/policy/labels.hpp"

namespace plimsoll {
namespace {

using namespace std::chrono_literals;

constexpr CostKey huge = 3;
constexpr DomainKey cgroup = 1;

Gate::Settings in(Mode mode) {
    Gate::Settings settings;
    settings.memory_mode = mode;
    settings.breaker_mode = Mode::off;
    return settings;
}

// Workers in a cgroup of 600 MiB, of which 100 are held by the workers themselves: a heavy one needs 200, a huge one 700.
class Workers {
public:
    explicit Workers(Mode mode, unsigned workers = 4, unsigned slots = 4, Bytes own_limit = {}) : gate(in(mode)) {
        const auto own = own_limit.count > 0 ? std::optional(own_limit) : std::nullopt;
        for (WorkerKey key = 1; key <= workers; ++key) {
            gate.add(key, slots, now);
            gate.accept(key, true, now, events);
            gate.observe(now, key, 0.1, MemorySight{25_MiB, own, {cgroup, 0}});
        }
        gate.observe_domain(cgroup, 100_MiB, 600_MiB);
        gate.costs().recall(light, 1_MiB);
        gate.costs().recall(heavy, 200_MiB);
        gate.costs().recall(huge, 700_MiB);
    }
    Gate::Arrival ask(CostKey label, Priority priority = Priority::normal, Instant deadline = never) {
        Gate::Facts facts;
        facts.label = label;
        facts.priority = priority;
        facts.deadline = deadline;
        facts.draw = std::uniform_real_distribution<double>(0, 1)(random);
        return gate.arrive(now, facts, events);
    }
    void end(WorkerKey worker, CostKey label, Duration took) {
        Gate::Departure departure(Outcome::success);
        departure.label = label;
        departure.took = took;
        gate.depart(now, worker, departure, events);
    }
    std::uint64_t shadow(Reason reason) const { return gate.stats().shadow_refused[index(reason)]; }
    std::uint64_t shadow() const {
        std::uint64_t sum = 0;
        for (const auto each : gate.stats().shadow_refused) sum += each;
        return sum;
    }

    std::mt19937_64 random{7};
    Instant now{std::chrono::hours{1}};
    Gate gate;
    Gate::Events events;
};

struct Load {
    double heavy_per_second = 0, light_per_second = 0, huge_per_second = 0;
    Duration takes = 400ms; // one that needs much
    Bytes own_limit{};
};

// Twenty seconds of arrivals that do not care what becomes of those before them: the same for both modes.
struct Outcomes {
    std::uint64_t heavy = 0, enforced = 0, shadow = 0, refused_in_earnest = 0;
};
Outcomes play(std::uint64_t seed, Mode mode, const Load& load) {
    Workers w(mode, 4, 4, load.own_limit);
    std::mt19937_64 chance(seed);
    std::multimap<Instant, std::pair<WorkerKey, CostKey>> running;
    std::map<Ticket, CostKey> waiting;
    Outcomes outcomes;
    const auto begin = [&](WorkerKey worker, CostKey label) {
        running.emplace(w.now + (label == light ? Duration{20ms} : load.takes), std::pair(worker, label));
    };
    const auto settle = [&] {
        for (std::size_t i = 0; i < w.events.size(); ++i) {
            const auto event = w.events[i];
            if (event.granted) begin(*event.granted, waiting.at(event.ticket));
            waiting.erase(event.ticket);
        }
        w.events.clear();
    };
    constexpr Duration tick = 5ms;
    for (const Instant end = w.now + 20s; w.now < end; w.now += tick) {
        while (!running.empty() && running.begin()->first <= w.now) {
            const auto [worker, label] = running.begin()->second;
            running.erase(running.begin());
            w.end(worker, label, label == light ? Duration{20ms} : load.takes);
            settle();
        }
        if ((w.now.time_since_epoch() / 1ms) % 100 == 0) {
            Bytes use = 100_MiB;
            for (const auto& [when, each] : running) use = use + w.gate.costs().expected(each.second);
            w.gate.observe_domain(cgroup, use, 600_MiB);
            w.gate.expire(w.now, w.events);
            settle();
        }
        const std::pair<CostKey, double> kinds[] = {
            {heavy, load.heavy_per_second}, {light, load.light_per_second}, {huge, load.huge_per_second}};
        for (const auto& [label, per_second] : kinds) {
            if (!std::bernoulli_distribution(per_second / 200)(chance)) continue;
            outcomes.heavy += label != light;
            const auto arrival = w.ask(label);
            if (arrival.kind == Gate::Arrival::Kind::admitted) begin(arrival.worker, label);
            if (arrival.kind == Gate::Arrival::Kind::queued) waiting[arrival.ticket] = label;
            settle();
        }
    }
    const auto stats = w.gate.stats();
    for (const auto reason : {Reason::memory, Reason::queue_full, Reason::deadline}) {
        outcomes.enforced += stats.refused[index(reason)];
        outcomes.shadow += stats.shadow_refused[index(reason)];
    }
    for (const auto each : stats.refused) outcomes.refused_in_earnest += each;
    return outcomes;
}

void expect_alike(const Load& load, const char* what) {
    for (std::uint64_t seed = 1; seed <= 2; ++seed) {
        const auto enforce = play(seed, Mode::enforce, load), shadow = play(seed, Mode::shadow, load);
        ASSERT_EQ(enforce.heavy, shadow.heavy);
        EXPECT_EQ(shadow.refused_in_earnest, 0U) << what;
        EXPECT_EQ(enforce.shadow, 0U) << what;
        EXPECT_LE(shadow.shadow, 2 * enforce.enforced + 5) << what << ", seed " << seed;
        EXPECT_GE(2 * shadow.shadow + 5, enforce.enforced) << what << ", seed " << seed;
    }
}

TEST(ShadowLine, under_a_load_that_fits_nobody_would_have_been_refused) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        const auto outcomes = play(seed, Mode::shadow, {2, 20});
        EXPECT_EQ(outcomes.shadow, 0U) << seed; // two fit at once, so five a second can be done
    }
}

TEST(ShadowLine, counts_about_as_many_refusals_as_enforce_has) {
    expect_alike({4, 20}, "four a second of five");
    expect_alike({8, 0}, "eight of five");
    expect_alike({15, 20}, "three times what fits");
    expect_alike({2, 20, 0, 2s}, "long ones");
    expect_alike({12, 20, 0, 400ms, 250_MiB}, "limits of their own");
    expect_alike({2, 20, 1}, "some of them never fit");
    expect_alike({6, 20, 2}, "some of them never fit, and the others too little");
}

TEST(ShadowLine, who_waits_and_then_finds_room_is_not_refused) {
    Workers w(Mode::shadow);
    for (int i = 0; i < 4; ++i) ASSERT_EQ(w.ask(heavy).kind, Gate::Arrival::Kind::admitted);
    EXPECT_EQ(w.gate.stats().shadow.memory_waits, 2U) << "two fit";
    for (int i = 0; i < 100; ++i, w.now += 100ms) w.gate.expire(w.now, w.events);
    EXPECT_EQ(w.shadow(), 0U);
}

TEST(ShadowLine, what_never_fits_counts_when_its_time_is_over_and_once) {
    Workers w(Mode::shadow);
    const auto first = w.ask(huge), second = w.ask(huge); // one is tried, as enforce would
    w.now += 4900ms;
    w.gate.expire(w.now, w.events);
    EXPECT_EQ(w.shadow(), 0U);
    w.now += 200ms;
    w.gate.expire(w.now, w.events);
    EXPECT_EQ(w.shadow(Reason::memory), 1U);
    w.end(first.worker, huge, 5100ms);
    w.end(second.worker, huge, 5100ms);
    for (int i = 0; i < 100; ++i, w.now += 100ms) w.gate.expire(w.now, w.events);
    EXPECT_EQ(w.shadow(), 1U);
    EXPECT_TRUE(w.events.empty());
}

TEST(ShadowLine, its_time_passes_with_whatever_happens_at_the_gate) {
    Workers w(Mode::shadow);
    w.ask(huge);
    w.ask(huge);
    w.now += 6s; // and nobody waits, so nobody needs a tick
    const auto arrival = w.ask(light);
    EXPECT_EQ(w.shadow(Reason::memory), 1U);
    w.ask(huge);
    w.now += 6s;
    w.end(arrival.worker, light, 6s);
    EXPECT_EQ(w.shadow(Reason::memory), 2U);
}

TEST(ShadowLine, who_would_have_waited_beyond_his_deadline_counts_as_that) {
    Workers w(Mode::shadow);
    w.ask(huge);
    w.ask(huge, Priority::normal, w.now + 300ms);
    w.now += 301ms;
    w.gate.expire(w.now, w.events);
    EXPECT_EQ(w.shadow(Reason::deadline), 1U);
    EXPECT_EQ(w.shadow(), 1U);
}

TEST(ShadowLine, a_retry_is_the_same_request) {
    Workers w(Mode::shadow);
    w.ask(huge);
    Gate::Facts retry;
    retry.label = huge;
    retry.avoid = 1;
    w.gate.arrive(w.now, retry, w.events);
    w.now += 6s;
    w.gate.expire(w.now, w.events);
    EXPECT_EQ(w.shadow(), 0U);
}

TEST(ShadowLine, whom_the_load_line_would_have_shed_does_not_count_again) {
    Workers w(Mode::shadow);
    for (WorkerKey key = 1; key <= 4; ++key)
        w.gate.observe(w.now, key, 0.96, MemorySight{25_MiB, std::nullopt, {cgroup, 0}});
    for (int i = 0; i < 10; ++i) w.ask(huge, Priority::sheddable);
    w.now += 6s;
    w.gate.expire(w.now, w.events);
    EXPECT_EQ(w.shadow(), 10U);
}

TEST(ShadowLine, while_it_is_workers_that_are_missing_nobody_counts) {
    Workers w(Mode::shadow);
    for (WorkerKey key = 1; key <= 4; ++key) w.gate.accept(key, false, w.now, w.events);
    for (int i = 0; i < 10; ++i) w.ask(heavy);
    w.now += 6s;
    w.gate.expire(w.now, w.events);
    EXPECT_EQ(w.shadow(), 0U) << "they were refused in earnest";
    EXPECT_EQ(w.gate.stats().refused[index(Reason::no_workers)], 10U);
}

TEST(ShadowLine, the_line_is_as_long_as_the_queue_and_the_lower_priority_gives_way) {
    Workers w(Mode::shadow, 4, 16);
    auto settings = in(Mode::shadow);
    settings.queue_size = 3;
    w.gate.configure(settings);
    for (int i = 0; i < 2; ++i) w.ask(heavy);
    for (int i = 0; i < 3; ++i) w.ask(heavy, Priority::sheddable);
    EXPECT_EQ(w.shadow(), 0U);
    w.ask(heavy, Priority::critical);
    EXPECT_EQ(w.shadow(Reason::queue_full), 1U) << "the youngest sheddable one";
    w.ask(heavy, Priority::sheddable);
    EXPECT_EQ(w.shadow(Reason::queue_full), 2U) << "nobody gives way to it";
}

TEST(ShadowLine, what_would_have_been_ends_with_the_shadow) {
    Workers w(Mode::shadow);
    for (int i = 0; i < 10; ++i) w.ask(huge);
    w.gate.configure(in(Mode::off));
    w.gate.configure(in(Mode::shadow));
    w.now += 6s;
    w.gate.expire(w.now, w.events);
    EXPECT_EQ(w.shadow(), 0U);
}

} // namespace
} // namespace plimsoll
