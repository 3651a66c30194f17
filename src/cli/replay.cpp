#include "cli/replay.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <ostream>

#include "cli/commands.hpp"
#include "cli/table.hpp"
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

sim::Trace trace_of(const ReplayOptions& options) {
    std::vector<std::ifstream> files;
    for (const std::string& name : options.files)
        if (!files.emplace_back(name)) throw Failure{.code = 2, .text = name + " cannot be read"};
    std::vector<std::istream*> all;
    for (auto& file : files) all.push_back(&file);
    sim::Trace trace = sim::read_trace(all, options.pool);
    if (trace.requests.empty())
        throw Failure{.code = 2,
                      .text = options.files.front() + " holds no request" +
                              (options.pool.empty() ? "" : " of the pool " + options.pool) +
                              ": is it the file of [log] trace?"};
    return trace;
}

sim::MemoryPlan memory_of(const ReplayOptions& options) {
    sim::MemoryPlan plan;
    plan.base = parse_bytes(options.base).value_or(Bytes{});
    if (!options.memory.empty()) plan.shared = parse_bytes(options.memory);
    if (!options.worker_memory.empty()) plan.own = parse_bytes(options.worker_memory);
    return plan;
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
    for (auto& request : settings.trace) request.at = std::chrono::duration_cast<Duration>(request.at / options.faster);
    return settings;
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
    const sim::Trace trace = trace_of(options);
    const sim::OverloadSettings settings = settings_of(options, trace);
    const sim::OverloadReport report = sim::run(settings);
    out << trace.requests.size() << " requests of " << trace.routes.size() - 1 << " routes in "
        << fixed(report.seconds, 1) << " s (" << trace.left_out << " left out, " << trace.passed_over << " other lines"
        << first_of(options, trace) << "), " << fixed(1000 * to_seconds(trace.mean_service), 1)
        << " ms of service on average\n"
        << "goodput " << fixed(report.goodput(), 3) << " of the capacity (" << fixed(report.capacity, 1)
        << " requests/s)\n\n"
        << table_of(report) << "\n";
    if (report.reasons.empty()) out << "nobody was refused\n";
    for (const auto& [reason, count] : report.reasons) out << "refused: " << reason << " " << count << "\n";
    out << memory_text(settings.memory, report.memory, trace);
    if (report.broken.empty()) return 0;
    out << "a promise was broken: " << report.broken << "\n";
    return 1;
}

} // namespace plimsoll::cli
