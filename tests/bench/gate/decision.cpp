// What the gate's decision costs: with 8 threads at one gate behind its lock, and with 10,000 workers. Not part of `all`:
//     ninja -C build/release bench_gate && build/release/bench_gate
// Each decision (arrive, depart) is timed by itself, waiting for the lock included; the cost of asking the clock, printed first, is
// in the figures. `at once`: threads that do nothing but decide; else each works for 2 us between two decisions, half of what a reactor
// needs for the rest of a request. On fewer cores than threads the highest percentiles show the scheduler.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "net/brief_mutex.hpp"
#include "plimsoll/policy/affinity.hpp"
#include "plimsoll/policy/gate.hpp"

namespace {

using namespace plimsoll;

constexpr std::size_t decisions = 500'000;

void print(const char* name, std::vector<std::uint32_t>& nanoseconds) {
    std::ranges::sort(nanoseconds);
    const auto at = [&](double share) {
        return nanoseconds[static_cast<std::size_t>(share * static_cast<double>(nanoseconds.size() - 1))];
    };
    std::printf("%-40s p50 %5u ns   p99 %5u ns   p99.9 %6u ns\n", name, at(.5), at(.99), at(.999));
}

template <class Work>
void time_into(std::vector<std::uint32_t>& took, Work work) {
    const auto before = Clock::now();
    work();
    took.push_back(static_cast<std::uint32_t>((Clock::now() - before).count()));
}

void work(Duration how_long) {
    for (const auto end = Clock::now() + how_long; Clock::now() < end;) {
    }
}

struct Door {
    net::BriefMutex mutex; // a pool's
    Gate gate{Gate::Settings{}};

    bool sessions = false; // each request has a session of its own, which is at home somewhere

    Door(WorkerKey workers, unsigned slots) {
        Gate::Events events;
        for (WorkerKey key = 1; key <= workers; ++key) {
            gate.add(key, slots, Clock::now(), affinity_hash("app-" + std::to_string(key)));
            gate.accept(key, true, Clock::now(), events);
            gate.observe(Clock::now(), key, 0.3 + 0.00001 * key);
        }
    }
    // Every worker in one cgroup, every label known: one in eight needs much, and there is room for half of those.
    void teach_memory() {
        constexpr DomainKey cgroup = 1;
        const auto now = Clock::now();
        Gate::Events events;
        const std::size_t workers = gate.stats().workers.size();
        for (WorkerKey key = 1; key <= workers; ++key) {
            gate.observe(Clock::now(), key, 0.3, MemorySight{Bytes{25 << 20}, std::nullopt, {cgroup, 0}});
            gate.rose(now, key, {Bytes{25 << 20}, Bytes{25 << 20}, true});
        }
        gate.observe_domain(cgroup, Bytes{100 << 20}, Bytes{600 << 20});
        for (CostKey label = 1; label <= labels; ++label)
            for (unsigned i = 0; i < MemoryCosts::confident; ++i) {
                events.clear();
                const auto arrival = gate.arrive(now, {.route = 1, .label = label}, events);
                if (arrival.kind != Gate::Arrival::Kind::admitted) std::abort();
                Gate::Departure departure(Outcome::success);
                departure.label = label;
                departure.took = std::chrono::milliseconds{5};
                gate.depart(now, arrival.worker, departure, events);
                const std::int64_t need = label % 8 == 0 ? 200 << 20 : 1 << 20;
                gate.rose(now, arrival.worker, {Bytes{(25 << 20) + need}, Bytes{25 << 20}, true});
            }
        knows_memory = true;
    }
    static constexpr CostKey labels = 64;
    bool knows_memory = false;

    // Requests of one client: it holds up to `held` at once and gives the oldest back.
    std::vector<std::uint32_t> load(unsigned seed, std::size_t held, std::size_t count, Duration between) {
        std::mt19937_64 random(seed);
        std::vector<std::pair<WorkerKey, CostKey>> busy;
        std::vector<Ticket> waiting;
        std::vector<std::uint32_t> took;
        took.reserve(2 * count);
        Gate::Events events;
        for (std::size_t i = 0; i < count; ++i) {
            work(between);
            const double draw = std::uniform_real_distribution<>(0, 1)(random);
            const std::uint64_t session = random();
            const CostKey label = knows_memory ? 1 + static_cast<CostKey>(session % labels) : 0;
            Gate::Arrival arrival;
            time_into(took, [&] {
                const std::lock_guard lock(mutex);
                events.clear();
                Gate::Facts facts{.draw = draw, .route = 1};
                if (sessions) facts.affinity = session;
                facts.label = label;
                arrival = gate.arrive(Clock::now(), facts, events);
            });
            if (arrival.kind == Gate::Arrival::Kind::admitted) busy.emplace_back(arrival.worker, label);
            if (arrival.kind == Gate::Arrival::Kind::queued) {
                const std::lock_guard lock(mutex);
                gate.leave(Clock::now(), arrival.ticket);
            }
            if (busy.size() < held && arrival.kind == Gate::Arrival::Kind::admitted) continue;
            if (busy.empty()) continue;
            work(between);
            const auto chosen = random() % busy.size();
            std::swap(busy[chosen], busy.back());
            time_into(took, [&] {
                const std::lock_guard lock(mutex);
                events.clear();
                Gate::Departure departure(Outcome::success);
                departure.took = std::chrono::milliseconds{5};
                departure.route = 1;
                departure.label = busy.back().second;
                gate.depart(Clock::now(), busy.back().first, departure, events);
            });
            busy.pop_back();
        }
        return took;
    }
};

void run(const char* name, WorkerKey workers, unsigned slots, unsigned threads, std::size_t held, Duration between = {},
         bool sessions = false, bool memory = false) {
    Door door(workers, slots);
    door.sessions = sessions;
    if (memory) door.teach_memory();
    std::vector<std::vector<std::uint32_t>> took(threads);
    std::vector<std::thread> running;
    for (unsigned t = 0; t < threads; ++t)
        running.emplace_back([&, t] { took[t] = door.load(t + 1, held, decisions / threads, between); });
    for (auto& thread : running) thread.join();
    std::vector<std::uint32_t> all;
    for (const auto& each : took) all.insert(all.end(), each.begin(), each.end());
    print(name, all);
}

} // namespace

int main() {
    std::vector<std::uint32_t> clock;
    clock.reserve(decisions);
    for (std::size_t i = 0; i < decisions; ++i) time_into(clock, [] {});
    print("the clock alone", clock);
    run("8 workers of 8 slots, 1 thread", 8, 8, 1, 40);
    run("8 workers of 8 slots, 8 threads", 8, 8, 8, 6, std::chrono::microseconds{2});
    run("8 workers of 8 slots, 8 threads at once", 8, 8, 8, 6);
    run("the same, and room for what they need", 8, 8, 8, 6, {}, false, true);
    run("10,000 workers, 1 thread, half busy", 10'000, 1, 1, 5'000);
    run("10,000 workers, 1 thread, all busy", 10'000, 1, 1, 20'000);
    run("10,000 workers, half busy, with room", 10'000, 1, 1, 5'000, {}, false, true);
    run("the same half busy, with sessions", 10'000, 1, 1, 5'000, {}, true);
    run("the same all busy, with sessions", 10'000, 1, 1, 20'000, {}, true);
}
