// What the attribution of leaks to routes is worth, with and without the experiment (tests/sim/route_sim.hpp).
//
//   bench_route_table [SEED [APPS [REQUESTS]]]      the same seed gives the same table
//
// What the experiment saves is asked of those applications in which passive observation takes long: they are chosen by another
// run than the one that is compared, for a run that was slow by chance is quicker the next time, whatever is done. Who has no sure and
// right answer when traffic ends counts with all of it: without the experiment that makes the ratio a lower bound, with it an
// upper one; where neither has, it is 1.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include "sim/route_sim.hpp"

using namespace plimsoll::sim;

namespace {

double quantile(std::vector<double> values, double share) {
    if (values.empty()) return 0;
    std::ranges::sort(values);
    return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

void print(const char* what, const Rate& rate) {
    std::printf("  %-34s %.3f (%.3f-%.3f)  of %u\n", what, rate.value(), rate.low(), rate.high(), rate.n);
}

constexpr double many = 10'000; // requests: passive observation takes long

// How many requests an answer took, without the experiment and with it.
struct Saving {
    Rate without, with, thrice;
    std::vector<double> ratios, passive, varied;

    static double needed(bool reached, double at, std::uint64_t most) {
        return reached ? at : static_cast<double>(most);
    }
    void add(bool reached_without, double at_without, bool reached_with, double at_with, std::uint64_t most) {
        const auto count = [](Rate& rate, bool yes) { ++rate.n, rate.k += yes ? 1 : 0; };
        count(without, reached_without), count(with, reached_with);
        passive.push_back(needed(reached_without, at_without, most));
        varied.push_back(needed(reached_with, at_with, most));
        ratios.push_back(passive.back() / varied.back());
        count(thrice, ratios.back() >= 3);
    }
    void tell(const char* what) const {
        std::printf("  %s\n", what);
        print("reached without the experiment", without);
        print("reached with it", with);
        print("a third of the requests or less", thrice);
        std::printf("  %-34s %.0f / %.0f median, %.2f ratio (quartiles %.2f and %.2f)\n", "requests without / with",
                    quantile(passive, 0.5), quantile(varied, 0.5), quantile(ratios, 0.5), quantile(ratios, 0.25),
                    quantile(ratios, 0.75));
    }
};

struct Column {
    Rate decided, at_once, right, right_when_decided, near, held;
    std::vector<double> errors, requests;
    unsigned names = 0, false_names = 0;

    void add(const RouteRun& run, std::uint64_t soon) {
        const auto count = [](Rate& rate, bool yes) { ++rate.n, rate.k += yes ? 1 : 0; };
        count(decided, run.decided);
        count(at_once, run.decided && run.requests <= static_cast<double>(soon));
        count(right, run.top_right);
        requests.push_back(run.requests);
        names += run.names;
        false_names += run.false_names;
        if (!run.decided) return;
        count(right_when_decided, run.top_right);
        if (!run.top_right) return;
        errors.push_back(run.error);
        count(near, run.error <= 0.1);
        count(held, run.held);
    }
    void tell(const char* name) const {
        std::printf("%s\n", name);
        print("sure before traffic ended", decided);
        print("sure when suspected", at_once);
        print("top route right, when sure", right_when_decided);
        print("top route right, sure or not", right);
        print("bytes within 10 %", near);
        print("interval holds the truth", held);
        std::printf("  %-34s %.3f median, %.3f at 90 %%\n", "error of bytes", quantile(errors, 0.5),
                    quantile(errors, 0.9));
        std::printf("  %-34s %.0f median, %.0f at 90 %%\n", "requests after the suspicion", quantile(requests, 0.5),
                    quantile(requests, 0.9));
        std::printf("  %-34s %u of %u\n\n", "innocent routes named", false_names, names);
    }
};

} // namespace

int main(int count, char** arguments) {
    const std::uint64_t seed = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 1;
    const unsigned apps = count > 2 ? static_cast<unsigned>(std::strtoul(arguments[2], nullptr, 10)) : 100;
    const std::uint64_t most = count > 3 ? std::strtoull(arguments[3], nullptr, 10) : 200'000;
    for (const bool threads : {false, true})
        for (const bool together : {false, true}) {
            Column columns[2];
            Saving named, sure;
            std::vector<double> slower;
            unsigned stopped = 0;
            constexpr std::uint64_t length = 60'000; // requests, for response times
            for (unsigned i = 0; i < apps; ++i) {
                const RouteApp app = draw_route_app(seed * 100'000 + i, together, threads);
                RouteRun runs[2], timed[2];
                for (const bool experiment : {false, true}) {
                    runs[experiment] =
                        run_routes(app, seed * 100'000 + i, {.experiment = experiment, .most_requests = most});
                    columns[experiment].add(runs[experiment], 2000);
                }
                for (const bool experiment : {false, true})
                    timed[experiment] = run_routes(app, seed * 100'000 + i, {experiment, length, false});
                slower.push_back(timed[1].p99 / timed[0].p99);
                stopped += timed[1].slower ? 1 : 0;
                const RouteRun other =
                    run_routes(app, seed * 100'000 + 50'000 + i, {.experiment = false, .most_requests = most});
                if (other.decided && other.top_right && other.requests <= many) continue;
                named.add(runs[0].named, runs[0].named_at, runs[1].named, runs[1].named_at, most);
                sure.add(runs[0].decided && runs[0].top_right, runs[0].requests, runs[1].decided && runs[1].top_right,
                         runs[1].requests, most);
            }
            std::printf("%s, %s, seed %llu, %u applications\n\n", threads ? "workers of eight threads" : "sync workers",
                        together ? "routes that come together" : "independent routes",
                        static_cast<unsigned long long>(seed), apps);
            columns[0].tell("without the experiment");
            columns[1].tell("with it");
            std::printf("where passive observation takes more than %.0f requests (%u of %u)\n", many, sure.with.n,
                        apps);
            named.tell("until the right route stands alone at the top");
            sure.tell("until its bytes are known to a tenth, too");
            std::printf(
                "p99 with / without, %llu requests each: %.3f median, %.3f at 95 %%; ended for it: %u of %u\n\n",
                static_cast<unsigned long long>(length), quantile(slower, 0.5), quantile(slower, 0.95), stopped, apps);
        }
}
