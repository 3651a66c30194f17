#include "fleet/leak_file.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/json.hpp>

#include "fleet/state_file.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

namespace json = boost::json;

namespace {

constexpr int version = 1;
constexpr std::size_t most_marks = 128;

double number(const json::object& object, std::string_view key) {
    const auto* value = object.if_contains({key.data(), key.size()});
    boost::system::error_code bad;
    const double found = value && value->is_number() ? value->to_number<double>(bad) : 0;
    return bad || found < 0 ? 0 : found;
}

std::string word(const json::object& object, std::string_view key) {
    const auto* value = object.if_contains({key.data(), key.size()});
    return value && value->is_string() ? std::string(value->get_string()) : std::string{};
}

const json::array& list(const json::object& object, std::string_view key) {
    static const json::array none;
    const auto* value = object.if_contains({key.data(), key.size()});
    return value && value->is_array() ? value->get_array() : none;
}

leak::AgeCurve curve_of(const json::object& object) {
    leak::AgeCurve curve;
    curve.life = static_cast<std::uint64_t>(number(object, "life"));
    curve.ended = true;
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

} // namespace

std::string to_text(const LeakMemory& memory) {
    json::object watched;
    for (const Watched what : all_watched) {
        const LeakMemory::Entry& entry = memory.entries[static_cast<std::size_t>(what)];
        json::array curves;
        for (const leak::AgeCurve& curve : entry.curves) {
            json::array marks;
            for (const leak::AgeCurve::Mark& mark : curve.marks) marks.push_back(json::array{mark.growth, mark.trend});
            curves.push_back(json::object{{"life", static_cast<double>(curve.life)}, {"marks", std::move(marks)}});
        }
        watched[to_string(what)] = json::object{{"curves", std::move(curves)},
                                                {"incident", entry.incident},
                                                {"accused_age", entry.accused_age},
                                                {"recycles", entry.recycles}};
    }
    return json::serialize(
        json::object{{"version", version}, {"application", memory.fingerprint}, {"watched", std::move(watched)}});
}

LeakMemory leak_memory_of(const std::string& text, const std::string& fingerprint) {
    LeakMemory memory;
    memory.fingerprint = fingerprint;
    boost::system::error_code bad;
    const json::value parsed = json::parse(text, bad);
    if (bad || !parsed.is_object()) return memory;
    const json::object& object = parsed.get_object();
    if (number(object, "version") != version || word(object, "application") != fingerprint) return memory;
    const auto* watched = object.if_contains("watched");
    if (!watched || !watched->is_object()) return memory;
    for (const Watched what : all_watched) {
        const auto* found = watched->get_object().if_contains(to_string(what));
        if (!found || !found->is_object()) continue;
        LeakMemory::Entry& entry = memory.entries[static_cast<std::size_t>(what)];
        for (const json::value& curve : list(found->get_object(), "curves"))
            if (curve.is_object() && entry.curves.size() < leak::History::most)
                entry.curves.push_back(curve_of(curve.get_object()));
        entry.incident = word(found->get_object(), "incident");
        entry.accused_age = number(found->get_object(), "accused_age");
        entry.recycles = static_cast<unsigned>(std::min(number(found->get_object(), "recycles"), 1e9));
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
