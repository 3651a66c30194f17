// Plays a trace that a proxy recorded ([log] trace) through the real gate, and prints what would have become of it under other
// limits: for choosing them.
//     ninja -C build/release plimsoll_sim && build/release/plimsoll_sim replay trace.ndjson.1 trace.ndjson --workers 4 --slots 4
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "sim/trace.hpp"

namespace {

using namespace plimsoll;

constexpr const char* usage =
    "plimsoll_sim replay TRACE... [--pool NAME] [--workers N] [--slots N] [--size N] [--timeout MS] [--target MS] "
    "[--faster N]\n"
    "\n"
    "TRACE is what [log] trace of a proxy has written, one line a request; FILE.1 and FILE, where it was rotated.\n"
    "  --pool      whose requests (the first one's)\n"
    "  --workers   that serve them (4), each with so many --slots (1)\n"
    "  --size      of the queue (1024): [pool.queue] size;  --timeout of it (5000): timeout;  --target: target\n"
    "  --faster    the same requests, N times as many a second (1)\n";

void print(const char* name, const sim::Fate& fate) {
    std::printf("%-10s %8llu %8llu %8llu %8llu   %9.1f %9.1f   %9.1f\n", name,
                static_cast<unsigned long long>(fate.offered), static_cast<unsigned long long>(fate.served),
                static_cast<unsigned long long>(fate.refused), static_cast<unsigned long long>(fate.late),
                sim::quantile(fate.latency, .5), sim::quantile(fate.latency, .99),
                sim::quantile(fate.refusal_latency, .99));
}

struct Wish {
    sim::OverloadSettings settings;
    std::vector<std::string> files;
    std::string pool;
    double faster = 1;
};

bool read(Wish& wish, int count, char** words) {
    std::map<std::string_view, double> numbers;
    for (int i = 0; i < count; ++i) {
        const std::string_view word = words[i];
        if (!word.starts_with("--")) {
            wish.files.emplace_back(word);
            continue;
        }
        if (++i == count) return false;
        if (word == "--pool")
            wish.pool = words[i];
        else
            numbers[word] = std::strtod(words[i], nullptr);
    }
    const auto take = [&numbers](std::string_view name, double otherwise) {
        const auto found = numbers.extract(name);
        return found.empty() ? otherwise : found.mapped();
    };
    const auto milliseconds = [](double value) {
        return std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(value));
    };
    auto& [settings, files, pool, faster] = wish;
    for (const auto& [name, value] : numbers)
        if (value <= 0) return false;
    settings.workers = static_cast<unsigned>(take("--workers", settings.workers));
    settings.slots = static_cast<unsigned>(take("--slots", settings.slots));
    settings.gate.queue_size = static_cast<std::size_t>(take("--size", static_cast<double>(settings.gate.queue_size)));
    settings.gate.queue_timeout = milliseconds(take("--timeout", 5000));
    settings.gate.queue_target = milliseconds(take("--target", 0));
    faster = take("--faster", 1);
    return numbers.empty() && !files.empty();
}

int replay(Wish& wish) {
    std::vector<std::ifstream> files;
    for (const std::string& name : wish.files)
        if (!files.emplace_back(name)) return std::fprintf(stderr, "%s cannot be read\n", name.c_str()), 2;
    std::vector<std::istream*> all;
    for (auto& file : files) all.push_back(&file);
    const sim::Trace trace = sim::read_trace(all, wish.pool);
    if (trace.requests.empty())
        return std::fprintf(stderr, "%s holds no request%s: is it the file of [log] trace?\n", wish.files[0].c_str(),
                            wish.pool.empty() ? "" : " of that pool"),
               2;
    wish.settings.trace = trace.requests;
    for (auto& request : wish.settings.trace)
        request.at = std::chrono::duration_cast<Duration>(request.at / wish.faster);
    wish.settings.service = std::max(trace.mean_service, Duration{1000});
    const sim::OverloadReport report = sim::run(wish.settings);
    std::printf("%zu requests of %zu routes in %.1f s (%zu left out, %zu other lines), %.1f ms of service on average\n",
                trace.requests.size(), trace.routes.size() - 1, report.seconds, trace.left_out, trace.passed_over,
                std::chrono::duration<double, std::milli>(trace.mean_service).count());
    std::printf("goodput %.3f of the capacity (%.1f requests/s)\n\n", report.goodput(), report.capacity);
    std::puts("            offered   served  refused     late    p50 ms    p99 ms   refused after p99 ms");
    const char* names[priorities] = {"critical", "normal", "sheddable"};
    for (std::size_t i = 0; i < priorities; ++i) print(names[i], report.of[i]);
    if (report.reasons.empty()) std::puts("\nnobody was refused");
    for (const auto& [reason, count] : report.reasons)
        std::printf("\nrefused: %s %llu", reason.c_str(), static_cast<unsigned long long>(count));
    std::puts("");
    if (!report.broken.empty()) return std::printf("\na promise was broken: %s\n", report.broken.c_str()), 1;
    return 0;
}

} // namespace

int main(int count, char** words) {
    Wish wish;
    if (count < 3 || std::string_view(words[1]) != "replay" || !read(wish, count - 2, words + 2))
        return std::fputs(usage, stderr), 2;
    return replay(wish);
}
