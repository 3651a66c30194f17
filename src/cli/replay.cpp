#include "cli/replay.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <ostream>
#include <set>
#include <span>
#include <system_error>

#include "cli/commands.hpp"
#include "cli/table.hpp"
#include "config/nearest.hpp"
#include "config/values.hpp"
#include "sim/trace.hpp"

namespace plimsoll::cli {
namespace {

std::string fixed(double value, int digits) {
    std::array<char, 64> text;
    return {text.data(), static_cast<std::size_t>(std::snprintf(text.data(), text.size(), "%.*f", digits, value))};
}

std::string milliseconds_of(std::vector<double> latencies, double share) {
    return latencies.empty() ? "-" : fixed(sim::quantile(std::move(latencies), share), 1);
}

// One --limit as it was written, before it is known whether the trace has such a route.
struct LimitWish {
    std::string text, route;
    RateRule rate;
    bool by_client = false;
    Failure failure(const std::string& problem) const {
        return {.code = 2, .text = "--limit " + text + ": " + problem};
    }
};

constexpr unsigned most_burst = 1'000'000;

LimitWish limit_of(const std::string& text) {
    LimitWish wish{text, {}, {}};
    unsigned burst = 0;
    std::string_view rest = text;
    constexpr std::string_view burst_key = "burst=";
    // A route may hold commas and equals signs, and look like an option: its end is looked for from behind, and what has its
    // rate behind it is no option.
    while (true) {
        const auto comma = rest.rfind(',');
        const auto option = comma == rest.npos ? std::string_view{} : rest.substr(comma + 1);
        if (option == "key=client") {
            wish.by_client = true;
        } else if (option.starts_with(burst_key) && option.find('=', burst_key.size()) == option.npos) {
            const auto digits = option.substr(burst_key.size());
            const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), burst);
            if (error != std::errc{} || end != digits.data() + digits.size() || burst > most_burst)
                throw wish.failure("burst is a number up to " + std::to_string(most_burst));
        } else {
            break;
        }
        rest = rest.substr(0, comma);
    }
    const auto sign = rest.rfind('=');
    const auto rate = sign == rest.npos ? std::nullopt : config::parse_rate(rest.substr(sign + 1));
    if (!rate || sign == 0)
        throw wish.failure("ROUTE=RATE[,burst=N][,key=client] is meant, a rate is 10/s, 30/m or 1000/h");
    wish.route = rest.substr(0, sign);
    wish.rate = RateRule::per_second(rate->per_second, burst);
    return wish;
}

std::vector<LimitWish> limits_of(const ReplayOptions& options) {
    std::vector<LimitWish> wishes;
    for (const std::string& text : options.limits) wishes.push_back(limit_of(text));
    return wishes;
}

std::string unknown_route(const LimitWish& wish, const sim::Trace& trace) {
    const auto known = std::span(trace.routes).subspan(1);
    constexpr std::size_t named = 5;
    const auto meant = config::nearest(wish.route, known);
    std::string text = "the trace has no route " + wish.route;
    if (!meant.empty()) return text + ": did you mean " + meant + "?";
    text += "; it has ";
    for (std::size_t i = 0; i < std::min(named, known.size()); ++i) text += (i > 0 ? ", " : "") + known[i];
    return text + (known.size() > named ? " and " + std::to_string(known.size() - named) + " more" : "");
}

sim::RateLimit rate_limit_of(const LimitWish& wish, const sim::Trace& trace) {
    sim::RateLimit limit{0, wish.rate, wish.by_client};
    if (wish.route != sim::any_route) {
        const auto found = std::ranges::find(trace.routes, wish.route);
        if (found == trace.routes.end()) throw wish.failure(unknown_route(wish, trace));
        limit.route = static_cast<RouteKey>(found - trace.routes.begin());
    }
    if (wish.by_client && std::ranges::none_of(trace.requests, [](const auto& each) { return each.client != 0; }))
        throw wish.failure("the trace does not tell one client from another: leave key=client out");
    return limit;
}

Failure unreadable(const ReplayOptions& options, const sim::Trace::Trouble& trouble) {
    const auto [file, line] = trouble.place;
    return {.code = 2, .text = options.files[file] + ":" + std::to_string(line) + " cannot be read: " + trouble.why};
}

sim::Trace trace_of(const ReplayOptions& options, const std::vector<LimitWish>& limits) {
    std::set<std::string, std::less<>> rated;
    for (const LimitWish& each : limits) rated.insert(each.route);
    std::vector<std::ifstream> files;
    for (const std::string& name : options.files)
        if (!files.emplace_back(name))
            throw Failure{.code = 2, .text = name + " cannot be read: " + std::generic_category().message(errno)};
    std::vector<std::istream*> all;
    for (auto& file : files) all.push_back(&file);
    sim::Trace trace = sim::read_trace(all, options.pool, rated);
    if (trace.trouble) throw unreadable(options, *trace.trouble);
    if (trace.requests.empty())
        throw Failure{.code = 2,
                      .text = options.files.front() + " holds no request" +
                              (options.pool.empty() ? "" : " of the pool " + options.pool) +
                              ": is it the file of [log] trace?"};
    return trace;
}

// So that the sum of ten thousand workers is a number of bytes.
constexpr Bytes most_memory = 102'400_GiB;
// From the first request to the last: a hundred years still fit into a Duration, with what follows.
constexpr double most_days = 36'500;

std::optional<Bytes> memory_option(const char* name, const std::string& text) {
    const auto size = parse_bytes(text);
    if (size && *size > most_memory)
        throw Failure{.code = 2, .text = std::string(name) + " " + text + ": at most 100TiB"};
    return size;
}

sim::MemoryPlan memory_of(const ReplayOptions& options) {
    sim::MemoryPlan plan;
    plan.base = memory_option("--base", options.base).value_or(Bytes{});
    if (!options.memory.empty()) plan.shared = memory_option("--memory", options.memory);
    if (!options.worker_memory.empty()) plan.own = memory_option("--worker-memory", options.worker_memory);
    return plan;
}

// Throws where that is no number, or makes the trace too long.
void spread_out(std::vector<sim::Traced>& requests, double faster) {
    if (!std::isfinite(faster) || faster <= 0)
        throw Failure{.code = 2, .text = "--faster " + fixed(faster, 3) + ": a number above 0 is meant"};
    const double days = to_seconds(requests.back().at) / faster / 86400;
    if (days > most_days)
        throw Failure{.code = 2,
                      .text = "the last request would come " + fixed(days, 0) + " days after the first: at most " +
                              fixed(most_days, 0) + " can be played (--faster, or a wrong \"at\" in the trace)"};
    for (auto& request : requests) request.at = std::chrono::duration_cast<Duration>(request.at / faster);
}

sim::OverloadSettings settings_of(const ReplayOptions& options, const sim::Trace& trace) {
    sim::OverloadSettings settings;
    settings.workers = options.workers;
    settings.slots = options.slots;
    settings.gate.queue_size = options.size;
    settings.gate.queue_timeout = config::parse_duration(options.timeout).value();
    if (!options.target.empty()) settings.gate.queue_target = config::parse_duration(options.target).value();
    settings.service = std::max(trace.mean_service, Duration{1000});
    settings.memory = memory_of(options);
    settings.trace = trace.requests;
    spread_out(settings.trace, options.faster);
    settings.watches_all = false; // that is for the tests: a thousand workers would take longer than the gate
    return settings;
}

// Without the labels of those that the application has named.
std::size_t routes_of(const sim::Trace& trace) {
    std::set<RouteKey> routes;
    for (const auto& each : trace.requests) routes.insert(each.route);
    return routes.size();
}

std::string first_of(const ReplayOptions& options, const sim::Trace& trace) {
    const auto [file, line] = trace.first_passed_over;
    return trace.passed_over == 0 ? "" : ", the first " + options.files[file] + ":" + std::to_string(line);
}

std::string table_of(const sim::OverloadReport& report) {
    Table table(
        {"PRIORITY", ">OFFERED", ">SERVED", ">REFUSED", ">LATE", ">P50 MS", ">P99 MS", ">REFUSED AFTER, P99 MS"});
    for (const Priority priority : {Priority::critical, Priority::normal, Priority::sheddable}) {
        const sim::Fate& fate = report.of[index(priority)];
        table.row({std::string(config::name_of(priority)), std::to_string(fate.offered), std::to_string(fate.served),
                   std::to_string(fate.refused), std::to_string(fate.late), milliseconds_of(fate.latency, .5),
                   milliseconds_of(fate.latency, .99), milliseconds_of(fate.refusal_latency, .99)});
    }
    return table.text(false);
}

std::string limit_text(const LimitWish& wish, const sim::LimitReport& report) {
    std::string text = "limit " + wish.text + ": " + std::to_string(report.refused) + " of " +
                       std::to_string(report.asked) + " requests refused";
    if (wish.by_client)
        text += ", of " + std::to_string(report.refused_clients.size()) + " of " +
                std::to_string(report.clients.size()) + " clients";
    return text + "\n";
}

std::string with_limit(Bytes peak, std::optional<Bytes> limit) {
    return to_string(peak) + (limit ? " of " + to_string(*limit) : "");
}

std::string memory_text(const sim::MemoryPlan& plan, const sim::MemoryReport& report, const sim::Trace& trace) {
    const bool knows = std::ranges::any_of(trace.requests, [](const auto& each) { return each.need > Bytes{}; });
    if (!knows && !plan.limited()) return "";
    std::string text = "memory: at most " + with_limit(report.peak, plan.shared) + " at once, " +
                       with_limit(report.worker_peak, plan.own) + " in one worker\n";
    if (!knows) return text + "memory: the trace knows of no request that needs any\n";
    if (!plan.limited()) return text;
    text += "memory: " + std::to_string(report.weighty) + " requests need much, " +
            std::to_string(report.waits.size()) + " of them waited for room though a slot was free";
    if (!report.waits.empty()) text += ", " + milliseconds_of(report.waits, .99) + " ms (p99)";
    if (report.passed > 0)
        text += "\nmemory: " + std::to_string(report.passed) + " requests passed a limit: there the kernel kills";
    return text + "\n";
}

} // namespace

int replay(const ReplayOptions& options, std::ostream& out) {
    const std::vector<LimitWish> limits = limits_of(options);
    const sim::Trace trace = trace_of(options, limits);
    sim::OverloadSettings settings = settings_of(options, trace);
    for (const LimitWish& each : limits) settings.limits.push_back(rate_limit_of(each, trace));
    const sim::OverloadReport report = sim::run(settings);
    out << trace.requests.size() << " requests of " << routes_of(trace) << " routes in " << fixed(report.seconds, 1)
        << " s (" << trace.left_out << " left out, " << trace.passed_over << " other lines" << first_of(options, trace)
        << "), " << fixed(1000 * to_seconds(trace.mean_service), 1) << " ms of service on average\n"
        << "goodput " << fixed(report.goodput(), 3) << " of the capacity (" << fixed(report.capacity, 1)
        << " requests/s)\n\n"
        << table_of(report) << "\n";
    if (report.reasons.empty()) out << "nobody was refused\n";
    for (const auto& [reason, count] : report.reasons) out << "refused: " << reason << " " << count << "\n";
    for (std::size_t i = 0; i < limits.size(); ++i) out << limit_text(limits[i], report.limits[i]);
    out << memory_text(settings.memory, report.memory, trace);
    if (report.broken.empty()) return 0;
    out << "a promise was broken: " << report.broken << "\n";
    return 1;
}

} // namespace plimsoll::cli
