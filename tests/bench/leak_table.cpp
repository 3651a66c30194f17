// What the leak detector is worth on model processes: recall and false alarms of each kind, with 95 % intervals.
//
//   bench_leak_table [SEED [LIVES]]      the same seed gives the same table
#include <cstdio>
#include <cstdlib>

#include "sim/leak_sim.hpp"

int main(int count, char** arguments) {
    const std::uint64_t seed = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 1;
    const unsigned lives = count > 2 ? static_cast<unsigned>(std::strtoul(arguments[2], nullptr, 10)) : 200;
    for (const bool warm : {false, true}) {
        std::printf("%s (seed %llu)\n\n%s\n%s\n", warm ? "an earlier process is known" : "first process ever",
                    static_cast<unsigned long long>(seed),
                    plimsoll::sim::table(plimsoll::sim::tally(seed, lives, warm)).c_str(),
                    ("after one to twelve hours\n" + plimsoll::sim::table(plimsoll::sim::late_leaks(seed, lives, warm)))
                        .c_str());
    }
    std::printf("brought by a release\n%s\n", plimsoll::sim::table({plimsoll::sim::new_leaks(seed, lives)}).c_str());
    for (const double times : {1.0, 1.4, 1.7, 2.0, 2.5}) {
        const auto row = plimsoll::sim::busier(seed, lives, times);
        std::printf("sessions with %.1f times the traffic of the life before: suspected %u, accused %u of %u\n", times,
                    row.suspicions.k, row.alarms.k, row.alarms.n);
    }
    std::printf("\nrecycled on the forecast (seed %llu)\n\n%s\n", static_cast<unsigned long long>(seed),
                plimsoll::sim::table(plimsoll::sim::recycles(seed, lives)).c_str());
}
