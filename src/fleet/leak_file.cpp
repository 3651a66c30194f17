#include "fleet/leak_file.hpp"

#include <algorithm>
#include <cmath>

#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/json.hpp>

#include "fleet/json_fields.hpp"
#include "fleet/state_file.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

namespace json = boost::json;

namespace {

constexpr int version = 1;
constexpr std::size_t most_marks = 128;
constexpr std::size_t longest_label = 512;
constexpr double most_needed = 1e15;
constexpr double rate_grain = 1000; // thousandths of a request a second are kept

double amount(const json::object& object, std::string_view key) { return std::max(number(object, key), 0.0); }

leak::AgeCurve curve_of(const json::object& object) {
    leak::AgeCurve curve;
    curve.life = static_cast<std::uint64_t>(amount(object, "life"));
    curve.ended = true;
    curve.release = word(object, "release");
    curve.pace = amount(object, "pace");
    curve.accused = flag(object, "accused");
    for (const json::value& mark : list(object, "marks")) {
        if (!mark.is_array() || mark.get_array().size() != 2 || curve.marks.size() >= most_marks) return {};
        boost::system::error_code bad;
        const auto growth = mark.get_array()[0].to_number<float>(bad);
        if (bad) return {};
        const auto trend = mark.get_array()[1].to_number<float>(bad);
        if (bad) return {};
        curve.marks.push_back({growth, trend});
    }
    return curve;
}

unsigned count(const json::object& object, std::string_view key) {
    return static_cast<unsigned>(std::min(amount(object, key), 1e9));
}

json::array json_of(const std::vector<leak::ReleaseRecord>& releases) {
    json::array array;
    for (const leak::ReleaseRecord& each : releases)
        array.push_back(json::object{
            {"name", each.name}, {"clean", each.clean}, {"leaked", each.leaked}, {"accused", each.accused}});
    return array;
}

std::vector<leak::ReleaseRecord> releases_of(const json::array& array) {
    std::vector<leak::ReleaseRecord> releases;
    for (const json::value& each : array)
        if (each.is_object())
            releases.push_back({word(each.get_object(), "name"), amount(each.get_object(), "clean"),
                                amount(each.get_object(), "leaked"), count(each.get_object(), "accused")});
    return releases;
}

json::array json_of(const std::vector<leak::PastLeak>& past) {
    json::array array;
    for (const leak::PastLeak& each : past)
        array.push_back(json::object{{"incident", each.incident},
                                     {"routes", json::value_from(each.mark.routes)},
                                     {"lines", json::value_from(each.mark.lines)},
                                     {"types", json::value_from(each.mark.types)},
                                     {"release", each.release},
                                     {"recycles", each.recycles},
                                     {"accused_age", each.accused_age}});
    return array;
}

std::vector<std::string> words(const json::object& object, std::string_view key) {
    std::vector<std::string> found;
    for (const json::value& each : list(object, key))
        if (each.is_string() && found.size() < leak::Fingerprint::most) found.emplace_back(each.get_string());
    return found;
}

std::vector<leak::PastLeak> past_of(const json::array& array) {
    std::vector<leak::PastLeak> past;
    for (const json::value& each : array) {
        if (!each.is_object()) continue;
        const json::object& leak = each.get_object();
        past.push_back({word(leak, "incident"),
                        {words(leak, "routes"), words(leak, "lines"), words(leak, "types")},
                        word(leak, "release"),
                        count(leak, "recycles"),
                        amount(leak, "accused_age")});
    }
    return past;
}

std::vector<net::Pool::Need> needs_of(const json::array& array) {
    std::vector<net::Pool::Need> needs;
    for (const json::value& each : array) {
        if (!each.is_object() || needs.size() >= net::CostLabels::most_labels) continue;
        const json::object& need = each.get_object();
        const double expected = std::min(amount(need, "expected"), most_needed);
        const double at_first = std::clamp(amount(need, "at_first"), expected, most_needed);
        net::Pool::Need told{word(need, "label"),
                             {static_cast<std::int64_t>(expected)},
                             {static_cast<std::int64_t>(at_first)},
                             count(need, "readings")};
        const bool sane = !told.label.empty() && told.label.size() <= longest_label;
        if (sane && told.readings >= MemoryCosts::confident) needs.push_back(std::move(told));
    }
    return needs;
}

} // namespace

std::string to_text(const LeakMemory& memory) {
    json::object watched;
    for (const Watched what : all_watched) {
        const LeakCase::Kept& entry = memory.cases[index(what)];
        json::array curves;
        for (const leak::AgeCurve& curve : entry.curves) {
            json::array marks;
            for (const leak::AgeCurve::Mark& mark : curve.marks) marks.push_back(json::array{mark.growth, mark.trend});
            curves.push_back(json::object{{"life", static_cast<double>(curve.life)},
                                          {"release", curve.release},
                                          {"pace", curve.pace},
                                          {"accused", curve.accused},
                                          {"marks", std::move(marks)}});
        }
        watched[to_string(what)] = json::object{
            {"curves", std::move(curves)},         {"incident", entry.incident}, {"is_new", entry.is_new},
            {"accused_age", entry.accused_age},    {"recycles", entry.recycles}, {"release", entry.release},
            {"releases", json_of(entry.releases)}, {"past", json_of(entry.past)}};
    }
    json::array load;
    for (const double rate : memory.load) load.push_back(std::round(rate * rate_grain) / rate_grain);
    json::array needs;
    for (const net::Pool::Need& need : memory.needs)
        needs.push_back(json::object{{"label", need.label},
                                     {"expected", need.expected.count},
                                     {"at_first", need.at_first.count},
                                     {"readings", need.readings}});
    return json::serialize(json::object{{"version", version},
                                        {"needs", std::move(needs)},
                                        {"application", memory.fingerprint},
                                        {"watched", std::move(watched)},
                                        {"load", std::move(load)}});
}

LeakMemory leak_memory_of(const std::string& text, const std::string& fingerprint) {
    LeakMemory memory;
    memory.fingerprint = fingerprint;
    boost::system::error_code bad;
    const json::value parsed = json::parse(text, bad);
    if (bad || !parsed.is_object()) return memory;
    const json::object& object = parsed.get_object();
    if (amount(object, "version") != version) return memory;
    // What another command does with memory is another matter; what leaked, and in which release, is the application's, which may
    // just lie in the next release's directory. It is known again by its routes and lines.
    const bool same = word(object, "application") == fingerprint;
    const auto* watched = object.if_contains("watched");
    if (!watched || !watched->is_object()) return memory;
    for (const Watched what : all_watched) {
        const auto* found = watched->get_object().if_contains(to_string(what));
        if (!found || !found->is_object()) continue;
        LeakCase::Kept& entry = memory.cases[index(what)];
        for (const json::value& curve : list(found->get_object(), "curves"))
            if (same && curve.is_object() && entry.curves.size() < leak::History::most)
                entry.curves.push_back(curve_of(curve.get_object()));
        entry.incident = word(found->get_object(), "incident");
        entry.is_new = flag(found->get_object(), "is_new");
        entry.accused_age = amount(found->get_object(), "accused_age");
        entry.recycles = count(found->get_object(), "recycles");
        entry.release = word(found->get_object(), "release");
        entry.releases = releases_of(list(found->get_object(), "releases"));
        entry.past = past_of(list(found->get_object(), "past"));
    }
    if (same) memory.needs = needs_of(list(object, "needs"));
    const json::array& load = list(object, "load");
    for (std::size_t quarter = 0; load.size() == memory.load.size() && quarter < load.size(); ++quarter) {
        const double rate = load[quarter].is_number() ? load[quarter].to_number<double>(bad) : -1;
        if (!bad && std::isfinite(rate)) memory.load[quarter] = rate;
    }
    return memory;
}

struct LeakWatch::File::Desk {
    boost::asio::strand<boost::asio::thread_pool::executor_type> order;
    std::string path;
};

LeakWatch::File::File(const Context& context, const std::string& pool)
    : desk_(std::make_shared<Desk>(
          Desk{boost::asio::make_strand(*context.threads), context.state_dir + "/leaks-" + pool + ".json"})) {}

LeakMemory LeakWatch::File::read(const std::string& fingerprint) const {
    return leak_memory_of(read_state(desk_->path), fingerprint);
}

void LeakWatch::File::write(const LeakMemory& memory) {
    boost::asio::post(desk_->order, [desk = desk_, text = to_text(memory)] {
        if (!replace_state(desk->path, text))
            log::warn("leaks_not_kept", {{"file", desk->path},
                                         {"effect", "after a restart workers are judged as if they were the first"}});
    });
}

} // namespace plimsoll::fleet
