// What must hold whatever happens, over 10,000 seeds (seeds.hpp). Every run of the simulation checks
// besides: no more permits than slots and none left at the end, a reason and a hint for each refusal, nobody served while a
// higher priority waits, no request lost.
#include <random>

#include <gtest/gtest.h>

#include "sim/overload_sim.hpp"
#include "sim/seeds.hpp"

namespace plimsoll::sim {
namespace {

using namespace std::chrono_literals;

class Chance {
public:
    explicit Chance(std::uint64_t seed) : random_(seed) {}
    double between(double low, double high) { return std::uniform_real_distribution<>(low, high)(random_); }
    unsigned upto(unsigned most) { return std::uniform_int_distribution<unsigned>(1, most)(random_); }
    bool odds(double share) { return between(0, 1) < share; }
    Duration time(Duration low, Duration high) {
        return low + std::chrono::duration_cast<Duration>((high - low) * between(0, 1));
    }

private:
    std::mt19937_64 random_;
};

OverloadSettings any_fleet(std::uint64_t seed, Chance& chance) {
    OverloadSettings settings;
    settings.seed = seed;
    settings.workers = chance.upto(6);
    settings.slots = chance.upto(3);
    // About as many requests whatever the size: a hundred or two a second.
    settings.service = 6ms * settings.workers * settings.slots;
    settings.spread = chance.between(0, 0.5);
    settings.mix[0] = chance.between(0, 1);
    settings.mix[1] = chance.between(0, 1);
    settings.mix[2] = chance.between(0.01, 1);
    return settings;
}

std::string told(const OverloadSettings& settings) {
    std::string text = std::to_string(settings.workers) + " workers of " + std::to_string(settings.slots) + " slots, " +
                       std::to_string(settings.service / 1ms) + " ms, load " + std::to_string(settings.steps[0].load);
    const char* kinds[] = {"away", "ailing", "failing", "stall"};
    for (const Disturbance& each : settings.disturbances)
        text += std::string("; ") + kinds[static_cast<int>(each.kind)] + " " + std::to_string(each.worker) + " from " +
                std::to_string(each.from / 1ms) + " to " + std::to_string(each.to / 1ms) + " ms";
    return text;
}

// Half a second of any trouble, alone or together, then calm: two seconds later it is as if nothing had been. Who came within the
// trouble has left the queue after its timeout of a second, and a breaker has had its probe.
TEST(Invariants, after_every_kind_of_burst_all_is_as_before) {
    for (std::uint64_t seed = 1; seed <= seeds(1'000); ++seed) {
        Chance chance(seed);
        OverloadSettings settings = any_fleet(seed, chance);
        settings.steps = {{500ms, chance.between(0.2, 8)}, {3s, 0.3}};
        const auto trouble = [&](Disturbance::Kind kind, double odds) {
            if (!chance.odds(odds)) return;
            const Duration from = chance.time(0ms, 400ms);
            const unsigned workers = kind == Disturbance::Kind::stall ? 1 : chance.upto(settings.workers);
            for (WorkerKey worker = 1; worker <= workers; ++worker)
                settings.disturbances.push_back({kind, from, chance.time(from, 500ms), worker});
        };
        trouble(Disturbance::Kind::away, 0.4);
        trouble(Disturbance::Kind::ailing, 0.4);
        trouble(Disturbance::Kind::failing, 0.4);
        trouble(Disturbance::Kind::stall, 0.4);
        settings.client_aborts = chance.odds(0.3) ? 0.3 : 0;
        settings.gate.queue_size = chance.odds(0.2) ? 32 : 1024;
        settings.gate.queue_timeout = chance.odds(0.2) ? 100ms : 1s;
        settings.calm_from = 2500ms;
        settings.calm_wait = 40 * settings.service;
        const OverloadReport report = run(settings);
        ASSERT_EQ(report.broken, "") << "seed " << seed << ": " << told(settings);
    }
}

// Below the capacity nobody pays for those who are more important: everybody is served, and nobody waits for long.
TEST(Invariants, critical_requests_do_not_starve_normal_ones_below_the_capacity) {
    for (std::uint64_t seed = 1; seed <= seeds(1'000); ++seed) {
        Chance chance(seed);
        OverloadSettings settings = any_fleet(seed, chance);
        settings.mix[0] = chance.between(1, 5); // most of it is critical
        settings.steps = {{3s, chance.between(0.3, 0.85)}};
        settings.calm_from = 0ms;
        settings.calm_wait =
            200 * settings.service; // a bound to what is no accident: those of the lowest priority wait long
        const OverloadReport report = run(settings);
        ASSERT_EQ(report.broken, "") << "seed " << seed;
        ASSERT_EQ(report.served_share(Priority::normal), 1) << "seed " << seed;
    }
}

} // namespace
} // namespace plimsoll::sim
