#include "sim/trace.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>

namespace plimsoll::sim {

namespace {

// The value of a member on a line of the trace: a number, or a text without its quotes. A quote within a text is escaped, so
// that the first match is the member itself.
std::optional<std::string_view> member(std::string_view line, std::string_view name) {
    const std::string key = '"' + std::string(name) + "\":";
    const auto found = line.find(key);
    if (found == std::string_view::npos) return std::nullopt;
    const auto value = line.substr(found + key.size());
    if (!value.starts_with('"')) return value.substr(0, value.find_first_of(",}"));
    auto end = std::size_t{1};
    while (end < value.size() && value[end] != '"') end += value[end] == '\\' ? 2 : 1;
    return value.substr(1, std::min(end, value.size()) - 1);
}

std::optional<double> number(std::string_view line, std::string_view name) {
    const auto text = member(line, name).value_or("");
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

Priority priority_of(std::string_view text) {
    if (text == "critical") return Priority::critical;
    return text == "sheddable" ? Priority::sheddable : Priority::normal;
}

bool refused_before_the_gate(std::string_view reason) {
    return reason == "rate" || reason == "inflight" || reason == "limit_unknown" || reason == "maintenance" ||
           reason == "draining";
}

Duration not_negative(double seconds) { return from_seconds(std::max(seconds, 0.0)); }

struct Line {
    double arrived = 0;
    Priority priority{};
    RouteKey route = 0;
    std::optional<double> service;  // not of one that never held a slot
    std::optional<double> deadline; // not of one that had none
};
struct Mean {
    double sum = 0;
    unsigned count = 0;
    double value() const { return count == 0 ? 0 : sum / count; }
};

} // namespace

Trace read_trace(const std::vector<std::istream*>& files, std::string pool) {
    Trace trace{{}, {""}, {}, 0, 0};
    std::map<std::string, RouteKey, std::less<>> keys;
    std::vector<Line> lines;
    std::map<RouteKey, Mean> means;
    Mean all;
    const auto read = [&](const std::string& text) {
        const auto at = number(text, "at");
        const auto whose = member(text, "pool");
        if (!at || !whose || whose->empty() || !text.ends_with('}')) {
            ++trace.passed_over;
            return;
        }
        if (pool.empty()) pool = *whose;
        if (pool != *whose || refused_before_the_gate(member(text, "refused").value_or(""))) {
            ++trace.left_out;
            return;
        }
        Line line{*at, priority_of(member(text, "priority").value_or("")), 0, number(text, "service"),
                  number(text, "deadline")};
        const std::string label(member(text, "route").value_or(""));
        const auto [found, is_new] = keys.try_emplace(label, static_cast<RouteKey>(trace.routes.size()));
        if (is_new) trace.routes.push_back(label);
        line.route = found->second;
        if (line.service)
            for (Mean* mean : {&means[line.route], &all}) mean->sum += *line.service, ++mean->count;
        lines.push_back(line);
    };
    for (std::istream* file : files)
        for (std::string text; std::getline(*file, text);) read(text);
    std::ranges::stable_sort(lines, {}, &Line::arrived);
    for (const Line& line : lines) {
        const Mean& mean = means[line.route].count > 0 ? means[line.route] : all;
        trace.requests.push_back({not_negative(line.arrived - lines.front().arrived), line.priority, line.route,
                                  not_negative(line.service.value_or(mean.value()))});
        if (line.deadline) trace.requests.back().deadline = not_negative(*line.deadline);
    }
    trace.mean_service = not_negative(all.value());
    return trace;
}

} // namespace plimsoll::sim
