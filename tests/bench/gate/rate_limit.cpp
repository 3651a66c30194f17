// What a rate limit's decision costs with 8 threads at 1,000,000 keys, and what the table weighs. Not part of `all`:
//     ninja -C build/release bench_rate_limit && build/release/bench_rate_limit
// Each decision is timed by itself; the cost of asking the clock, measured first, is in the figures. On fewer cores than
// threads the highest percentiles show the scheduler.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "net/http/fields.hpp"
#include "net/limits.hpp"

namespace {

using namespace plimsoll;

constexpr unsigned threads = 8;
constexpr std::size_t keys = 1'000'000, decisions = 1'000'000;

std::size_t resident_bytes() {
    std::size_t pages = 0, resident = 0;
    std::FILE* file = std::fopen("/proc/self/statm", "r");
    if (!file || std::fscanf(file, "%zu %zu", &pages, &resident) != 2) resident = 0;
    if (file) std::fclose(file);
    return resident * 4096;
}

void print(const char* name, std::vector<std::uint32_t>& nanoseconds) {
    std::ranges::sort(nanoseconds);
    const auto at = [&](double share) {
        return nanoseconds[static_cast<std::size_t>(share * static_cast<double>(nanoseconds.size() - 1))];
    };
    std::printf("%-28s p50 %5u ns   p90 %5u ns   p99 %5u ns   p99.9 %6u ns\n", name, at(.5), at(.9), at(.99), at(.999));
}

template <class Work>
std::vector<std::uint32_t> timed(std::size_t count, Work work) {
    std::vector<std::uint32_t> took(count);
    for (auto& each : took) {
        const auto before = Clock::now();
        work();
        each = static_cast<std::uint32_t>((Clock::now() - before).count());
    }
    return took;
}

} // namespace

int main() {
    auto clock = timed(decisions, [] {});
    print("the clock alone", clock);

    net::Limits limits;
    const http::FieldTable fields{};
    const auto compile = [&](config::Mode mode) {
        config::Route route;
        config::Limit limit;
        limit.name = "one"; // so that both share the table and its counts
        limit.rate = "1/h";
        limit.burst = 1'000'000;
        limit.mode = mode;
        route.limits = {limit};
        return limits.compile(route, "/", keys);
    };
    const auto decide = [&](const std::vector<net::RouteLimit>& compiled, std::uint32_t client) {
        char text[16];
        const int size =
            std::snprintf(text, sizeof text, "10.%u.%u.%u", client >> 16 & 255, client >> 8 & 255, client & 255);
        net::LimitHold hold;
        net::LimitsUnderWay under_way;
        const std::string_view address(text, static_cast<std::size_t>(size));
        return limits.judge(Clock::now(), compiled, {address, "/", "", "", fields}, hold, under_way);
    };
    const auto before = resident_bytes();
    const auto shadow = compile(config::Mode::shadow), enforced = compile(config::Mode::enforce);
    for (std::uint32_t client = 0; client < keys; ++client) decide(shadow, client);
    const auto bytes = resident_bytes() - before;
    std::printf("table of %zu keys: %.1f MiB, %.1f bytes a key\n", keys, static_cast<double>(bytes) / (1 << 20),
                static_cast<double>(bytes) / static_cast<double>(keys));

    const auto run = [&](const char* name, const std::vector<net::RouteLimit>& compiled) {
        std::vector<std::vector<std::uint32_t>> took(threads);
        std::vector<std::thread> running;
        for (unsigned t = 0; t < threads; ++t)
            running.emplace_back([&, t] {
                std::minstd_rand random(t + 1);
                took[t] = timed(decisions, [&] { decide(compiled, static_cast<std::uint32_t>(random() % keys)); });
            });
        for (auto& thread : running) thread.join();
        std::vector<std::uint32_t> all;
        for (const auto& each : took) all.insert(all.end(), each.begin(), each.end());
        print(name, all);
    };
    run("a decision, 8 threads, shadow", shadow);
    run("the same, enforced: writes RateLimit too", enforced);
}
