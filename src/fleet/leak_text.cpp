#include "fleet/leak_text.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>

#include <boost/json/object.hpp>

#include "plimsoll/core/bytes.hpp"

namespace plimsoll::fleet {

namespace {

constexpr double thousand = 1000;

// "3.7 to 4.1 KiB": the unit once, where both have the same.
std::string range_text(double low, double high, const std::string& what) {
    const std::string from = amount_text(low, what), to = amount_text(high, what);
    const auto unit = from.find(' ');
    const bool alike = unit != std::string::npos && to.ends_with(from.substr(unit));
    return (alike ? from.substr(0, unit) : from) + " to " + to;
}

// "03:40 UTC"
std::string hour_text(WallTime at) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(at);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[24];
    std::snprintf(text, sizeof text, "%02d:%02d UTC", parts.tm_hour, parts.tm_min);
    return text;
}

std::string sure_text(const LeakView& view) {
    return std::to_string(static_cast<int>(std::floor(view.confidence * 100))) + " % sure";
}

// "app-1", "app-1 and app-2", "app-1, app-2 and 3 more"
std::string joined(const std::vector<std::string>& names) {
    constexpr std::size_t most = 3;
    std::string text;
    for (std::size_t i = 0; i < names.size() && i < most; ++i) {
        const bool last = i + 1 == names.size();
        text += (i == 0 ? "" : last ? " and " : ", ") + names[i];
    }
    return names.size() > most ? text + " and " + std::to_string(names.size() - most) + " more" : text;
}

std::string line_text(const LeakLine& line, const std::string& directory) {
    return short_path(line.file, directory) + ":" + std::to_string(line.line) +
           (line.function.empty() ? "" : " in `" + line.function + "`");
}

// That goes with what the sentence begins with. Null: none is known to.
const LeakLine* line_of(const LeakReport& leak) {
    if (leak.routes.empty()) return leak.lines.empty() ? nullptr : &leak.lines.front();
    const auto own = std::ranges::find(leak.lines, leak.routes.front().route, &LeakLine::route);
    return own == leak.lines.end() ? nullptr : &*own;
}

// A line of another leak, or nobody knows of which.
std::string other_line_text(const LeakReport& leak, const std::string& directory) {
    const LeakLine& line = leak.lines.front();
    const auto route = std::ranges::find(leak.routes, line.route, &RouteShare::route);
    if (route == leak.routes.end())
        return line_text(line, directory) + " keeps " + amount_text(line.bytes_per_request, leak.what) +
               " a request to the worker, and whose it is is not known";
    return route->route + " leaks " + amount_text(route->bytes_per_request, leak.what) + " a request, " +
           line_text(line, directory);
}

} // namespace

std::string span_text(double seconds) {
    if (!std::isfinite(seconds) || seconds > 365.0 * 24 * 3600) return "over a year";
    const auto whole = std::llround(seconds);
    const auto two = [](long long large, const char* unit, long long small, const char* next) {
        return std::to_string(large) + unit + (small > 0 ? " " + std::to_string(small) + next : "");
    };
    if (whole < 60) return std::to_string(whole) + " s";
    if (whole < 600) return two(whole / 60, " min", whole % 60, " s"); // who acts in the last minutes counts them
    if (whole < 3600) return two(whole / 60, " min", 0, "");
    if (whole < 24 * 3600) return two(whole / 3600, " h", whole / 60 % 60, " min");
    return two(whole / (24 * 3600), " d", whole / 3600 % 24, " h");
}

std::string amount_text(double amount, const std::string& what) {
    if (what == "memory") return plimsoll::to_string(Bytes{std::llround(amount)});
    char text[48];
    std::snprintf(text, sizeof text, "%.3g %s", amount, what.c_str());
    return text;
}

std::string slope_text(const LeakView& view, const std::string& what) {
    const bool seldom = what != "memory" && view.bytes_per_request < 1;
    const double scale = seldom ? thousand : 1;
    return amount_text(view.bytes_per_request * scale, what) + (seldom ? " per 1,000 requests (" : " a request (") +
           range_text(view.low * scale, view.high * scale, what) + ", " + sure_text(view) + ")";
}

std::string growth_text(const std::vector<std::string>& workers, const LeakView& view, const std::string& what) {
    const bool several = workers.size() > 1;
    const std::string slope = slope_text(view, what);
    if (view.kind == "leaking") return joined(workers) + (several ? " leak " : " leaks ") + slope;
    if (view.kind == "unsharing")
        return joined(workers) + (several ? " copy" : " copies") +
               " pages that were shared since the fork: their own memory grows, and the application's does not";
    const std::string grows = joined(workers) + (several ? " grow by " : " grows by ") + slope;
    if (view.kind == "fragmentation") return grows + ", in holes of the heap and not in what is used";
    if (view.kind == "cache") return grows + ", ever slower: a cache that fills";
    return grows;
}

std::string forecast_text(const LeakView& view) {
    if (view.seconds_to_limit && view.seconds_early)
        return "reaches its limit in " + span_text(*view.seconds_to_limit) + " (not before " +
               span_text(*view.seconds_early) + ")";
    if (view.requests_to_limit)
        return "reaches its limit after " + std::to_string(std::llround(*view.requests_to_limit)) + " requests more";
    return {};
}

bool order_is_sure(const std::vector<RouteShare>& routes) {
    return !routes.empty() && routes.front().heaviest == leak::Heaviest::yes;
}

bool order_is_open(const std::vector<RouteShare>& routes) { return routes.size() > 1 && !order_is_sure(routes); }

std::string first_route_text(const std::vector<RouteShare>& routes) {
    const std::string first = routes.front().route;
    if (!order_is_open(routes)) return first + " leaks";
    std::string group;
    bool several = false;
    for (const RouteShare& each : routes) {
        if (each.heaviest != leak::Heaviest::maybe && &each != &routes.front()) continue;
        several = !group.empty();
        group += (group.empty() ? "" : ", ") + each.route;
    }
    if (!several) return first + " (order not sure yet) leaks";
    return "one of " + group + " (order not sure yet) leaks most: " + first;
}

std::string routes_text(const std::vector<RouteShare>& routes) {
    const RouteShare& first = routes.front();
    return first_route_text(routes) + " " + amount_text(first.bytes_per_request, "memory") + " a request (" +
           range_text(first.low, first.high, "memory") + ")";
}

boost::json::array json_of(const std::vector<RouteShare>& routes) {
    boost::json::array array;
    for (const RouteShare& each : routes)
        array.push_back(boost::json::object{{"route", each.route},
                                            {"bytes_per_request", each.bytes_per_request},
                                            {"low", each.low},
                                            {"high", each.high},
                                            {"share", each.share},
                                            {"heaviest", leak::to_string(each.heaviest)}});
    return array;
}

boost::json::array json_of(const std::vector<LeakLine>& lines) {
    boost::json::array array;
    for (const LeakLine& each : lines)
        array.push_back(boost::json::object{
            {"file", each.file},
            {"line", each.line},
            {"function", each.function.empty() ? boost::json::value(nullptr) : boost::json::value(each.function)},
            {"bytes_per_request", each.bytes_per_request}});
    return array;
}

std::string short_path(const std::string& file, const std::string& directory) {
    if (directory.size() > 1 && file.starts_with(directory + "/")) return file.substr(directory.size() + 1);
    const auto name = file.rfind('/');
    if (name == std::string::npos || name == 0) return file;
    const auto folder = file.rfind('/', name - 1);
    return folder == std::string::npos ? file : file.substr(folder + 1);
}

std::string first_line_text(const std::vector<LeakLine>& lines, const std::string& directory) {
    return lines.empty() ? std::string{} : line_text(lines.front(), directory);
}

std::string kept_text(const std::string& kept_by) {
    const auto open = kept_by.rfind(" ("), comma = kept_by.rfind(", ");
    if (open == std::string::npos || comma == std::string::npos || comma < open || !kept_by.ends_with(" items)"))
        return "`" + kept_by + "`";
    return "`" + kept_by.substr(0, open) + "`" + kept_by.substr(open, comma - open) + ")";
}

std::string verdict_text(const LeakReport& leak, const std::string& directory) {
    const bool known = !leak.routes.empty(), seen_now = !leak.workers.empty();
    std::string text = seen_now ? growth_text(leak.workers, leak.view, leak.what)
                                : "a process leaked " + slope_text(leak.view, leak.what);
    if (known) {
        const RouteShare& route = leak.routes.front();
        text = first_route_text(leak.routes) + " " + amount_text(route.bytes_per_request, leak.what) + " a request (" +
               range_text(route.low, route.high, leak.what) + ", " + sure_text(leak.view) + ")";
    }
    const LeakLine* line = line_of(leak);
    if (line) text += ", " + line_text(*line, directory);
    if (!leak.mostly.empty()) text += ", mostly " + leak.mostly;
    const std::string kept = leak.kept_by.empty() ? "" : ", kept by " + kept_text(leak.kept_by);
    if (line || leak.lines.empty()) text += kept;
    const bool several = leak.workers.size() > 1;
    if (known && seen_now)
        text += "; " + joined(leak.workers) + (several ? " grow by " : " grows by ") +
                amount_text(leak.view.bytes_per_request, leak.what) + " a request";
    if (const std::string end = forecast_text(leak.view); !end.empty())
        text += (known ? " and " : "; ") + std::string(several ? "the first of them " : known ? "" : "it ") + end;
    if (!line && !leak.lines.empty()) text += "; " + other_line_text(leak, directory) + kept;
    if (!leak.since_release.empty())
        text += "; since release " + leak.since_release + ", " + leak.release_before + " did not have it";
    if (leak.recycles > 0)
        text += "; recycled " + std::to_string(leak.recycles) + (leak.recycles == 1 ? " time" : " times");
    if (leak.planned_at)
        text += (leak.recycles > 0 ? ", next" : "; recycling planned") + std::string(" in the trough at ") +
                hour_text(*leak.planned_at);
    if (leak.closed_after)
        text += "; no process shows it now, closed when one has served " +
                std::to_string(std::llround(*leak.closed_after)) + " requests without it";
    return text;
}

} // namespace plimsoll::fleet
