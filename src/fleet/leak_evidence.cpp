#include "fleet/leak_evidence.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <boost/json/array.hpp>

#include "fleet/json_fields.hpp"
#include "fleet/leak_text.hpp"

namespace plimsoll::fleet {

namespace json = boost::json;

namespace {

constexpr double least = 0.1, most = 1.5; // of the growth a request
constexpr double keeps_least = 0.3;       // of it, a container: a cache beside the leak keeps a tenth, too
constexpr std::size_t most_lines = 5, most_kept = 50, most_types = 3;
constexpr double half = 0.5, good_part = 0.2;

bool is_claimed(const json::value& line) {
    const auto* claimed = line.is_object() ? line.get_object().if_contains("claimed") : nullptr;
    return claimed != nullptr && claimed->is_bool() && claimed->get_bool();
}

bool of_window(const json::object& answer, const char* key, bool otherwise) {
    const auto* window = answer.if_contains("window");
    const auto* told = window != nullptr && window->is_object() ? window->get_object().if_contains(key) : nullptr;
    return told != nullptr && told->is_bool() ? told->get_bool() : otherwise;
}

// Agents that tell nothing of it always collected.
bool was_collected(const json::object& answer) { return of_window(answer, "collected", true); }

bool explains(double bytes, const Growth& growth, double share = least) {
    if (growth.requests <= 0 || growth.low <= 0) return false;
    const double a_request = bytes / growth.requests;
    return a_request >= share * growth.low && a_request <= most * growth.high;
}

// "shop.orders._seen (dict, 40213 items) -> Order -> bytes": what grows hangs on its first link.
std::string root_of(const std::string& chain) { return chain.substr(0, chain.find(" -> ")); }

// " (dict, 40213 items)"; empty where it is none that has any.
std::string measure_of(const std::string& link) {
    const auto open = link.rfind(" (");
    return open != std::string::npos && link.ends_with(" items)") ? link.substr(open) : "";
}

// Of a container at the end of its chain: the name that it is found by, and what it is itself.
std::string keeper_of(const std::string& chain) {
    const std::string root = root_of(chain), own = measure_of(chain.substr(chain.rfind(" -> ") + 1));
    return own.empty() ? root : root.substr(0, root.size() - measure_of(root).size()) + own;
}

// What traces and captures itself holds what it looks at.
bool is_ours(const std::string& chain) {
    constexpr std::string_view of_class = "class ";
    const std::string root = chain.starts_with(of_class) ? chain.substr(of_class.size()) : root_of(chain);
    return root.starts_with("tracemalloc.") || root.starts_with("plimsoll_agent") ||
           root.find("/tracemalloc.py:") != std::string::npos || root.find("/plimsoll_agent/") != std::string::npos;
}

bool is_builtin(const std::string& type) { return type.find('.') == std::string::npos; }

// "... (2 of 3)" was found of two of three objects that were looked at; where all of one were, it has no end like that.
bool is_of_all(const std::string& chain) {
    const auto open = chain.rfind(" ("), of = chain.rfind(" of ");
    if (open == std::string::npos || of == std::string::npos || of < open || !chain.ends_with(")")) return true;
    const std::string some = chain.substr(open + 2, of - open - 2), all = chain.substr(of + 4, chain.size() - of - 5);
    return some == all || (some + all).find_first_not_of("0123456789") != std::string::npos;
}

std::string keeper_in(const json::object& capture, const Growth& growth) {
    for (const json::value& each : list(capture, "containers")) {
        if (!each.is_object()) continue;
        const json::object& container = each.get_object();
        const double length = std::max(number(container, "length"), 1.0);
        const double gained = number(container, "bytes") * number(container, "grown") / length;
        const std::string chain = word(container, "kept_by");
        if (!chain.empty() && !is_ours(chain) && explains(gained, growth, keeps_least)) return keeper_of(chain);
    }
    for (const json::value& each : list(capture, "types")) {
        if (!each.is_object() || !explains(number(each.get_object(), "delta_bytes"), growth)) continue;
        const std::string type = word(each.get_object(), "type"), title = type + ": ";
        if (is_builtin(type)) continue; // a handful of all lists says nothing of those that grew
        for (const json::value& retainer : list(capture, "retainers")) {
            if (!retainer.is_string() || !retainer.get_string().starts_with(title)) continue;
            const std::string chain = std::string(retainer.get_string()).substr(title.size());
            if (is_of_all(chain) && !is_ours(chain)) return root_of(chain);
        }
    }
    return {};
}

} // namespace

void add_answer(json::object& details, json::object&& answer) {
    if (answer.contains("traces")) {
        if (was_collected(answer)) details["collected_windows"] = number(details, "collected_windows") + 1;
        details.erase("window"); // an earlier one's
    }
    for (json::key_value_pair& each : answer) details[each.key()] = std::move(each.value());
}

json::object evidence_of(const json::object& capture, const Growth& growth) {
    json::object found;
    json::array lines;
    for (const json::value& line : list(capture, "lines"))
        if (is_claimed(line) && lines.size() < most_kept) lines.push_back(line);
    if (!lines.empty()) {
        found["lines"] = std::move(lines);
        if (const auto* asked = capture.if_contains("asked")) found["asked"] = *asked; // they are of that window
    }
    if (std::string keeper = keeper_in(capture, growth); !keeper.empty()) found["kept_by"] = std::move(keeper);
    for (const char* key : {"types", "retainers", "libraries"})
        if (!list(capture, key).empty()) found[key] = list(capture, key);
    for (const char* key : {"cycles", "open", "gc"})
        if (const auto* value = capture.if_contains(key); value != nullptr && value->is_object()) found[key] = *value;
    return found;
}

std::vector<LeakLine> claimed_lines(const json::object& details) {
    std::vector<LeakLine> lines;
    for (const json::value& each : list(details, "lines")) {
        if (!is_claimed(each) || lines.size() == most_lines) continue;
        const json::object& line = each.get_object();
        lines.push_back({word(line, "file"), word(line, "function"),
                         static_cast<unsigned>(std::clamp(number(line, "line"), 0.0, 1e9)),
                         number(line, "bytes_per_request")});
    }
    std::ranges::stable_sort(lines, std::greater<>(), &LeakLine::bytes_per_request);
    return lines;
}

std::vector<std::string> labels_of(const std::string& route) {
    constexpr std::string_view between = " + ";
    std::vector<std::string> labels;
    for (std::size_t begin = 0; begin < route.size();) {
        const auto end = std::min(route.find(between, begin), route.size());
        labels.push_back(route.substr(begin, end - begin));
        begin = end + between.size();
    }
    return labels;
}

std::vector<RouteShare> routes_in(const json::object& details) {
    std::vector<RouteShare> routes;
    for (const json::value& each : list(details, "routes")) {
        if (!each.is_object()) continue;
        const json::object& route = each.get_object();
        const std::string heaviest = word(route, "heaviest");
        routes.push_back({word(route, "route"), number(route, "bytes_per_request"), number(route, "low"),
                          number(route, "high"), number(route, "share"),
                          heaviest == "yes"     ? leak::Heaviest::yes
                          : heaviest == "maybe" ? leak::Heaviest::maybe
                                                : leak::Heaviest::no});
    }
    return routes;
}

namespace {

struct Kind {
    std::string name;
    double count = 0, all = 0;
};

Kind most_of(const json::object& details, std::string_view what) {
    Kind found;
    const auto* open = details.if_contains("open");
    const auto* kinds = open != nullptr && open->is_object() ? open->get_object().if_contains(what) : nullptr;
    if (kinds == nullptr || !kinds->is_object()) return found;
    for (const auto& [name, value] : kinds->get_object()) {
        const double count = number(kinds->get_object(), name);
        found.all += count;
        if (count <= found.count) continue;
        found.name = name;
        found.count = count;
    }
    return found;
}

} // namespace

std::string mostly_in(const json::object& details, std::string_view what) {
    const Kind most = most_of(details, what);
    if (most.count < half * most.all || most.count <= 0) return {};
    return most.name + " (" + std::to_string(static_cast<long long>(most.count)) + " of " +
           std::to_string(static_cast<long long>(most.all)) + ")";
}

std::optional<Growth> growth_of_routes(const std::vector<RouteShare>& routes, const std::vector<std::string>& names,
                                       const std::vector<std::uint64_t>& before,
                                       const std::vector<std::uint64_t>& after, double requests) {
    if (routes.empty() || requests <= 0) return std::nullopt;
    Growth growth{0, 0, requests};
    for (const RouteShare& route : routes) {
        const auto labels = labels_of(route.route);
        double asked = 0;
        bool known = false;
        for (std::size_t label = 0; label < std::min(names.size(), after.size()); ++label) {
            if (std::ranges::find(labels, names[label]) == labels.end()) continue;
            const std::uint64_t earlier = label < before.size() ? before[label] : 0;
            asked += after[label] > earlier ? static_cast<double>(after[label] - earlier) : 0;
            known = true;
        }
        const double times = known ? asked : requests; // "every route"
        growth.low += route.low * times / requests;
        growth.high += route.high * times / requests;
    }
    return growth;
}

leak::Fingerprint fingerprint_of(const json::object& details) {
    leak::Fingerprint mark;
    const auto add = [](std::vector<std::string>& to, std::string text) {
        if (!text.empty() && to.size() < leak::Fingerprint::most) to.push_back(std::move(text));
    };
    for (const RouteShare& route : routes_in(details)) {
        if (route.share < good_part || details.contains("one_route")) continue; // two leaks may both be of it
        for (std::string& label : labels_of(route.route))
            if (label != every_route && label != other_routes) add(mark.routes, std::move(label));
    }
    for (const LeakLine& line : claimed_lines(details))
        add(mark.lines, short_path(line.file, {}) +
                            (line.function.empty() ? ":" + std::to_string(line.line) : " in " + line.function));
    std::size_t types = 0; // the first rows gained most; builtin ones are in everything
    for (const json::value& each : list(details, "types")) {
        const std::string type = each.is_object() ? word(each.get_object(), "type") : std::string{};
        if (type.find('.') != std::string::npos && ++types <= most_types) add(mark.types, type);
    }
    const auto* leak = details.if_contains("leak");
    if (leak != nullptr && leak->is_object()) add(mark.types, most_of(details, word(leak->get_object(), "what")).name);
    return mark;
}

bool traced_in_vain(const json::object& details) {
    const bool proven = number(details, "collected_windows") > 0 || was_collected(details);
    return details.contains("traces") && proven && !stacks_were_cut(details) && claimed_lines(details).empty();
}

bool stacks_were_cut(const json::object& details) { return of_window(details, "cut", false); }

namespace {

// "app/sessions.py:15": what it keeps was seen to be added, and is more than the growth.
std::string exceeding_line(const json::object& details) {
    const auto* window = details.if_contains("window");
    const auto* told = window != nullptr && window->is_object() ? window->get_object().if_contains("exceeds") : nullptr;
    if (told == nullptr || !told->is_object()) return {};
    const std::string file = word(told->get_object(), "file");
    const double line = std::clamp(number(told->get_object(), "line"), 0.0, 1e9);
    return file.empty() ? "" : short_path(file, {}) + ":" + std::to_string(std::llround(line));
}

} // namespace

leak::AdviceFacts advice_facts(const json::object& details, leak::Class kind, std::string_view what) {
    leak::AdviceFacts facts;
    facts.kind = kind;
    facts.what = what;
    facts.mostly = mostly_in(details, what);
    facts.has_line = !claimed_lines(details).empty();
    facts.traced_in_vain = traced_in_vain(details);
    facts.stacks_cut = stacks_were_cut(details);
    facts.exceeding = facts.has_line ? "" : exceeding_line(details);
    facts.has_capture = std::ranges::any_of(std::array{"types", "retainers", "containers", "traces"},
                                            [&](const char* key) { return details.contains(key); });
    // "shop.orders._seen (dict, 40213 items)"
    const std::string keeper = word(details, "kept_by");
    const auto open = keeper.rfind(" ("), comma = keeper.rfind(", ");
    facts.keeper = keeper.substr(0, open);
    if (open != std::string::npos && comma != std::string::npos && comma > open)
        facts.keeper_type = keeper.substr(open + 2, comma - open - 2);
    for (const json::value& each : list(details, "libraries"))
        if (each.is_string()) facts.libraries.emplace_back(each.get_string());
    if (const auto* cycles = details.if_contains("cycles"); cycles != nullptr && cycles->is_object()) {
        facts.in_cycles = number(cycles->get_object(), "unreachable");
        const auto* finalizers = cycles->get_object().if_contains("finalizers");
        facts.finalizers = finalizers != nullptr && finalizers->is_object() && !finalizers->get_object().empty();
    }
    if (const auto* gc = details.if_contains("gc"); gc != nullptr && gc->is_object()) {
        // A threshold of 0 stops the collector too, and leaves it enabled.
        const auto* runs = gc->get_object().if_contains("automatic");
        if (runs == nullptr || !runs->is_bool()) runs = gc->get_object().if_contains("enabled");
        facts.collector_off = runs != nullptr && runs->is_bool() && !runs->get_bool();
    }
    return facts;
}

std::vector<std::string> news_of(const json::object& before, const json::object& after, std::string_view what) {
    std::vector<std::string> news;
    const std::string line = first_line_text(claimed_lines(after), {});
    if (!line.empty() && line != first_line_text(claimed_lines(before), {}))
        news.push_back("the memory is allocated by " + line);
    const std::string keeper = word(after, "kept_by");
    if (!keeper.empty() && kept_text(keeper) != kept_text(word(before, "kept_by")))
        news.push_back("what grows is kept by " + keeper);
    const Kind kind = most_of(after, what);
    if (!kind.name.empty() && kind.name != most_of(before, what).name && !mostly_in(after, what).empty())
        news.push_back("its " + std::string(what) + " are mostly " + mostly_in(after, what));
    return news;
}

json::object growth_of(const LeakLife& life, Watched what) {
    json::array marks;
    for (const Point& mark : life.detectors[index(what)].marks()) marks.push_back(json::array{mark.x, mark.y});
    return {{"worker", life.worker},
            {"generation", life.generation},
            {"limit", life.limit > 0 && what == Watched::memory ? json::value(life.limit) : json::value(nullptr)},
            {"what", to_string(what)},
            {"marks", std::move(marks)}};
}

void record(json::array& growth, json::object life) {
    const auto same = [&](const json::value& each) {
        return each.is_object() && word(each.get_object(), "worker") == word(life, "worker") &&
               number(each.get_object(), "generation") == number(life, "generation");
    };
    growth.erase(std::remove_if(growth.begin(), growth.end(), same), growth.end());
    if (growth.size() >= most_lives) growth.erase(growth.begin());
    growth.push_back(std::move(life));
}

} // namespace plimsoll::fleet
