// Plays a recorded access log through the real gate and prints what would have become of it: for choosing limits.
//     ninja -C build/release sim_replay && build/release/sim_replay access.log --workers 4 --slots 1 --size 200
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "sim/trace.hpp"

namespace {

using namespace plimsoll;

constexpr const char* usage = "sim_replay LOG [--workers N] [--slots N] [--size N] [--timeout MS] [--target MS]\n"
                              "LOG is an access log in JSON ([log] format = \"json\", access = true)\n";

void print(const char* name, const sim::Fate& fate) {
    std::printf("%-10s %8llu %8llu %8llu   %9.1f %9.1f   %9.1f\n", name, static_cast<unsigned long long>(fate.offered),
                static_cast<unsigned long long>(fate.served), static_cast<unsigned long long>(fate.refused),
                sim::quantile(fate.latency, .5), sim::quantile(fate.latency, .99),
                sim::quantile(fate.refusal_latency, .99));
}

} // namespace

int main(int count, char** arguments) {
    sim::OverloadSettings settings;
    const char* file = nullptr;
    for (int i = 1; i < count; ++i) {
        const char* word = arguments[i];
        if (word[0] != '-') {
            file = word;
            continue;
        }
        const long value = ++i < count ? std::strtol(arguments[i], nullptr, 10) : 0;
        if (value <= 0) return std::fputs(usage, stderr), 2;
        if (std::strcmp(word, "--workers") == 0)
            settings.workers = static_cast<unsigned>(value);
        else if (std::strcmp(word, "--slots") == 0)
            settings.slots = static_cast<unsigned>(value);
        else if (std::strcmp(word, "--size") == 0)
            settings.gate.queue_size = static_cast<std::size_t>(value);
        else if (std::strcmp(word, "--timeout") == 0)
            settings.gate.queue_timeout = std::chrono::milliseconds{value};
        else if (std::strcmp(word, "--target") == 0)
            settings.gate.queue_target = std::chrono::milliseconds{value};
        else
            return std::fputs(usage, stderr), 2;
    }
    if (!file) return std::fputs(usage, stderr), 2;
    std::ifstream log(file);
    if (!log) return std::fprintf(stderr, "%s cannot be read\n", file), 2;
    const sim::Trace trace = sim::read_trace(log);
    if (trace.requests.empty())
        return std::fprintf(stderr, "%s holds no request: is it an access log in JSON?\n", file), 2;
    settings.trace = trace.requests;
    settings.service = std::max(trace.mean_service, Duration{1000});
    const sim::OverloadReport report = sim::run(settings);
    std::printf("%zu requests of %zu routes (%zu other lines), %.1f ms of service on average\n", trace.requests.size(),
                trace.routes.size() - 1, trace.passed_over,
                std::chrono::duration<double, std::milli>(trace.mean_service).count());
    std::printf("goodput %.3f of the capacity (%.0f requests/s)\n\n", report.goodput(), report.capacity);
    std::puts("            offered   served  refused    p50 ms    p99 ms   refused after p99 ms");
    const char* names[priorities] = {"critical", "normal", "sheddable"};
    for (std::size_t i = 0; i < priorities; ++i) print(names[i], report.of[i]);
    if (!report.broken.empty()) return std::printf("\na promise was broken: %s\n", report.broken.c_str()), 1;
}
