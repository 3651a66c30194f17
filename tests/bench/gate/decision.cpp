// What the gate's decision costs: with 8 threads at one gate behind its lock, and with 10,000 workers. Not part of `all`:
//     ninja -C build/release bench_gate && build/release/bench_gate
// Each decision (arrive, depart) is timed by itself, waiting for the lock included; the cost of asking the clock, printed first, is
// in the figures. `at once`: threads that do nothing but decide; else each works for 2 us between two decisions, half of what a reactor
// needs for the rest of a request. On fewer cores than threads the highest percentiles show the scheduler.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "net/brief_mutex.hpp"
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

    Door(WorkerKey workers, unsigned slots) {
        Gate::Events events;
        for (WorkerKey key = 1; key <= workers; ++key) {
            gate.add(key, slots, Clock::now());
            gate.accept(key, true, Clock::now(), events);
            gate.observe(key, 0.3 + 0.00001 * key);
        }
    }
    // Requests of one client: it holds up to `held` at once and gives the oldest back.
    std::vector<std::uint32_t> load(unsigned seed, std::size_t held, std::size_t count, Duration between) {
        std::mt19937_64 random(seed);
        std::vector<WorkerKey> busy;
        std::vector<Ticket> waiting;
        std::vector<std::uint32_t> took;
        took.reserve(2 * count);
        Gate::Events events;
        for (std::size_t i = 0; i < count; ++i) {
            work(between);
            const double draw = std::uniform_real_distribution<>(0, 1)(random);
            Gate::Arrival arrival;
            time_into(took, [&] {
                const std::lock_guard lock(mutex);
                events.clear();
                arrival = gate.arrive(Clock::now(), {.draw = draw, .route = 1}, events);
            });
            if (arrival.kind == Gate::Arrival::Kind::admitted) busy.push_back(arrival.worker);
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
                gate.depart(Clock::now(), busy.back(), departure, events);
            });
            busy.pop_back();
        }
        return took;
    }
};

void run(const char* name, WorkerKey workers, unsigned slots, unsigned threads, std::size_t held,
         Duration between = {}) {
    Door door(workers, slots);
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
    run("10,000 workers, 1 thread, half busy", 10'000, 1, 1, 5'000);
    run("10,000 workers, 1 thread, all busy", 10'000, 1, 1, 20'000);
}
