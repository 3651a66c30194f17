#include "fleet/leak_text.hpp"

#include <cmath>
#include <cstdio>

#include <boost/json/object.hpp>

#include "plimsoll/core/bytes.hpp"

namespace plimsoll::fleet {

std::string span_text(double seconds) {
    if (!std::isfinite(seconds) || seconds > 365.0 * 24 * 3600) return "over a year";
    const auto whole = std::llround(seconds);
    const auto two = [](long long large, const char* unit, long long small, const char* next) {
        return std::to_string(large) + unit + (small > 0 ? " " + std::to_string(small) + next : "");
    };
    if (whole < 60) return std::to_string(whole) + " s";
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
    char sure[16];
    std::snprintf(sure, sizeof sure, "%.0f", std::floor(view.confidence * 100));
    return amount_text(view.bytes_per_request, what) + " a request (" + amount_text(view.low, what) + " to " +
           amount_text(view.high, what) + ", " + sure + " % sure)";
}

std::string forecast_text(const LeakView& view) {
    if (view.seconds_to_limit && view.seconds_early)
        return "reaches its limit in " + span_text(*view.seconds_to_limit) + " (not before " +
               span_text(*view.seconds_early) + ")";
    if (view.requests_to_limit)
        return "reaches its limit after " + std::to_string(std::llround(*view.requests_to_limit)) + " requests more";
    return {};
}

std::string route_text(const RouteShare& route) {
    return route.route + " leaks " + amount_text(route.bytes_per_request, "memory") + " a request (" +
           amount_text(route.low, "memory") + " to " + amount_text(route.high, "memory") + ")";
}

boost::json::array json_of(const std::vector<RouteShare>& routes) {
    boost::json::array array;
    for (const RouteShare& each : routes)
        array.push_back(boost::json::object{{"route", each.route},
                                            {"bytes_per_request", each.bytes_per_request},
                                            {"low", each.low},
                                            {"high", each.high},
                                            {"share", each.share}});
    return array;
}

std::string advice_text(const std::string& kind, const std::string& what) {
    if (kind == "cache") return "bound the cache if it is too much, or raise the limit";
    if (kind == "fragmentation")
        return "malloc_trim gives it back; fewer arenas (MALLOC_ARENA_MAX) or jemalloc avoid it";
    if (kind == "unsharing") return "call gc.freeze() before the server forks";
    if (kind != "leaking") return {};
    if (what == "descriptors") return "close files and sockets where they were opened: use `with`";
    if (what == "threads") return "use a pool of threads instead of one for each request";
    return "look at what the incident's capture shows: containers that only grow, and who keeps them";
}

} // namespace plimsoll::fleet
