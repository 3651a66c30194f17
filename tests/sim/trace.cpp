#include "sim/trace.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <string_view>

namespace plimsoll::sim {

namespace {

// The value of a member on a line of our own log: a number, or a text without its quotes. Members that clients can write
// (path, client) have their quotes escaped, so the first match is the member.
std::optional<std::string_view> member(std::string_view line, std::string_view name) {
    const std::string key = '"' + std::string(name) + "\":";
    const auto found = line.find(key);
    if (found == std::string_view::npos) return std::nullopt;
    auto value = line.substr(found + key.size());
    if (value.starts_with('"')) return value.substr(1, value.find('"', 1) - 1);
    return value.substr(0, value.find_first_of(",}"));
}

std::optional<double> number(std::string_view line, std::string_view name) {
    const auto text = member(line, name);
    if (!text) return std::nullopt;
    try {
        return std::stod(std::string(*text));
    } catch (const std::exception&) {
        return std::nullopt;
    }
}

std::optional<double> seconds_of(std::string_view time) { // "2026-03-01T02:14:05.117Z"
    int year = 0, hour = 0, minute = 0;
    unsigned month = 0, day = 0;
    double second = 0;
    if (std::sscanf(std::string(time).c_str(), "%d-%u-%uT%d:%d:%lf", &year, &month, &day, &hour, &minute, &second) != 6)
        return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{month}, std::chrono::day{day}};
    if (!date.ok()) return std::nullopt;
    const auto days = std::chrono::sys_days(date).time_since_epoch();
    return std::chrono::duration<double>(days).count() + hour * 3600 + minute * 60 + second;
}

Priority priority_of(std::string_view text) {
    if (text == "critical") return Priority::critical;
    return text == "sheddable" ? Priority::sheddable : Priority::normal;
}

Duration span(double seconds) {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(std::max(seconds, 0.0)));
}

struct Line {
    double arrived = 0;
    Priority priority{};
    RouteKey route = 0;
    std::optional<double> service; // not of one that was refused
};
struct Mean {
    double sum = 0;
    unsigned count = 0;
    double value() const { return count == 0 ? 0 : sum / count; }
};

} // namespace

Trace read_trace(std::istream& log) {
    Trace trace{{}, {""}, {}, 0};
    std::map<std::string, RouteKey, std::less<>> keys;
    std::vector<Line> lines;
    std::map<RouteKey, Mean> means;
    Mean all;
    for (std::string text; std::getline(log, text);) {
        const auto time = seconds_of(member(text, "time").value_or(""));
        const auto took = number(text, "seconds");
        if (member(text, "event") != "request" || !time || !took) {
            ++trace.passed_over;
            continue;
        }
        Line line{*time - *took, priority_of(member(text, "priority").value_or("")), 0, {}};
        const std::string label(member(text, "route").value_or(""));
        const auto [found, is_new] = keys.try_emplace(label, static_cast<RouteKey>(trace.routes.size()));
        if (is_new) trace.routes.push_back(label);
        line.route = found->second;
        if (!member(text, "worker").value_or("").empty()) {
            line.service = *took - number(text, "queue_seconds").value_or(0);
            for (Mean* mean : {&means[line.route], &all}) mean->sum += *line.service, ++mean->count;
        }
        lines.push_back(line);
    }
    std::ranges::sort(lines, {}, &Line::arrived);
    for (const Line& line : lines) {
        const Mean& mean = means[line.route].count > 0 ? means[line.route] : all;
        trace.requests.push_back({span(line.arrived - lines.front().arrived), line.priority, line.route,
                                  span(line.service.value_or(mean.value()))});
    }
    trace.mean_service = span(all.value());
    return trace;
}

} // namespace plimsoll::sim
