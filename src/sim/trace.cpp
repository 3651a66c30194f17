#include "sim/trace.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>
#include <system_error>

namespace plimsoll::sim {

namespace {

// The value of a member on a line of the trace: a number, or a text without its quotes. A quote within a text is escaped, so
// that the first match is the member itself.
std::optional<std::string_view> member(std::string_view line, std::string_view name) {
    const std::string key = '"' + std::string(name) + "\":";
    const auto found = line.find(key);
    if (found == std::string_view::npos) return std::nullopt;
    auto value = line.substr(found + key.size());
    while (value.starts_with(' ')) value.remove_prefix(1); // who cut the trace with a tool of his own may have got some
    if (!value.starts_with('"')) return value.substr(0, value.find_first_of(",}"));
    auto end = std::size_t{1};
    while (end < value.size() && value[end] != '"') end += value[end] == '\\' ? 2 : 1;
    return value.substr(1, std::min(end, value.size()) - 1);
}

// What the moment of a request in unix seconds may be at most, a span of time, and a need. So that sums of them still fit
// into a Duration: a request that comes at the latest, waits and is served. And a terabyte for each of millions in flight
// into Bytes.
constexpr double latest = 9e9, most_seconds = 1e9, most_bytes = 1e12;

// The numbers of a line. One that is there and cannot be makes the whole line one that is not ours.
class Numbers {
public:
    explicit Numbers(std::string_view line) : line_(line) {}
    std::optional<double> take(std::string_view name, double most) {
        const auto text = member(line_, name);
        if (!text) return std::nullopt;
        double value = 0;
        const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
        good_ = good_ && error == std::errc{} && end == text->data() + text->size() && value >= 0 && value <= most;
        return value;
    }
    std::uint64_t take_client() { // 0: not told
        const auto text = member(line_, "client");
        if (!text) return 0;
        std::uint64_t value = 0;
        const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value, 16);
        good_ = good_ && error == std::errc{} && end == text->data() + text->size();
        return value;
    }
    bool good() const { return good_; }

private:
    std::string_view line_;
    bool good_ = true;
};

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
    RouteKey route = 0, label = 0;
    std::optional<double> service;  // not of one that never held a slot
    std::optional<double> deadline; // not of one that had none
    double need = 0;
    std::uint64_t client = 0;
};
struct Mean {
    double sum = 0;
    unsigned count = 0;
    double value() const { return count == 0 ? 0 : sum / count; }
};

} // namespace

Trace read_trace(const std::vector<std::istream*>& files, std::string pool,
                 const std::set<std::string, std::less<>>& rated) {
    Trace trace;
    trace.routes = {""};
    std::map<std::string, RouteKey, std::less<>> keys;
    std::vector<Line> lines;
    std::map<RouteKey, Mean> means;
    Mean all;
    const auto key_of = [&](const std::string& name) {
        const auto [found, is_new] = keys.try_emplace(name, static_cast<RouteKey>(trace.routes.size()));
        if (is_new) trace.routes.push_back(name);
        return found->second;
    };
    const auto read = [&](std::string_view text, Trace::Place place) {
        Numbers numbers(text);
        const auto at = numbers.take("at", latest);
        Line line{at.value_or(0),
                  priority_of(member(text, "priority").value_or("")),
                  0,
                  0,
                  numbers.take("service", most_seconds),
                  numbers.take("deadline", most_seconds),
                  numbers.take("need", most_bytes).value_or(0),
                  numbers.take_client()};
        const auto whose = member(text, "pool");
        if (!at || !numbers.good() || !whose || whose->empty() || !text.ends_with('}')) {
            if (trace.passed_over++ == 0) trace.first_passed_over = place;
            return;
        }
        if (pool.empty()) pool = *whose;
        const std::string name(member(text, "route").value_or("")), label(member(text, "label").value_or(name));
        const auto refused = member(text, "refused").value_or("");
        const bool tried_anew =
            refused == "rate" && (rated.contains(any_route) || rated.contains(name) || rated.contains(label));
        if (pool != *whose || (refused_before_the_gate(refused) && !tried_anew)) {
            ++trace.left_out;
            return;
        }
        line.route = key_of(name);
        line.label = key_of(label);
        if (line.service)
            for (Mean* mean : {&means[line.route], &all}) mean->sum += *line.service, ++mean->count;
        lines.push_back(line);
    };
    std::vector<char> room(longest_line + 2); // with the end of the line, and that of the text
    for (Trace::Place place; place.file < files.size(); ++place.file) {
        place.line = 0;
        std::istream& file = *files[place.file];
        errno = 0;
        while (file.getline(room.data(), static_cast<std::streamsize>(room.size()))) {
            ++place.line;
            const auto taken = static_cast<std::size_t>(file.gcount());
            read({room.data(), file.eof() ? taken : taken - 1}, place); // the end of the line is counted as taken
        }
        if (file.eof() && !file.bad()) continue;
        ++place.line;
        trace.trouble = {place, file.bad() ? std::generic_category().message(errno == 0 ? EIO : errno)
                                           : "a line of more than " + std::to_string(longest_line) + " bytes"};
        return trace;
    }
    std::ranges::stable_sort(lines, {}, &Line::arrived);
    for (const Line& line : lines) {
        const Mean& mean = means[line.route].count > 0 ? means[line.route] : all;
        trace.requests.push_back({not_negative(line.arrived - lines.front().arrived), line.priority, line.route,
                                  not_negative(line.service.value_or(mean.value()))});
        Traced& request = trace.requests.back();
        if (line.deadline) request.deadline = not_negative(*line.deadline);
        request.client = line.client;
        request.label = line.label;
        request.need = Bytes{static_cast<std::int64_t>(line.need)};
    }
    trace.mean_service = not_negative(all.value());
    return trace;
}

} // namespace plimsoll::sim
