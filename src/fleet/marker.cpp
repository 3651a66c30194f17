#include "fleet/marker.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/json.hpp>
#include <unistd.h>

#include "fleet/state_file.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

namespace asio = boost::asio;

namespace {

std::string path_of(const Context& context, const std::string& pool) {
    return context.state_dir + "/recycle-" + pool + ".json";
}

} // namespace

struct Marker::Desk {
    std::shared_ptr<asio::thread_pool> threads;
    asio::strand<asio::thread_pool::executor_type> order;
    std::string path;
};

Marker::Marker(Context& context, std::string pool)
    : desk_(
          std::make_shared<Desk>(Desk{context.threads, asio::make_strand(*context.threads), path_of(context, pool)})) {}

void Marker::write(const LeftOver& what) {
    boost::json::object json{{"incident", what.incident},
                             {"worker", what.worker},
                             {"stage", what.stage},
                             {"generation", what.generation},
                             {"pid", what.pid},
                             {"server", what.server},
                             {"started_at", what.started_at},
                             {"marked_at", what.marked_at}};
    asio::post(desk_->order, [desk = desk_, text = boost::json::serialize(json)] {
        if (!replace_state(desk->path, text))
            log::warn("recycle_not_marked", {{"file", desk->path},
                                             {"effect", "after a crash in the middle of this "
                                                        "recycle it could not be finished"}});
    });
}

void Marker::erase() {
    asio::post(desk_->order, [desk = desk_] { ::unlink(desk->path.c_str()); });
}

std::optional<LeftOver> Marker::read(const Context& context, const std::string& pool) {
    const std::string text = read_state(path_of(context, pool));
    if (text.empty()) return std::nullopt;
    boost::system::error_code ec;
    const boost::json::value json = boost::json::parse(text, ec);
    if (ec || !json.is_object()) return std::nullopt; // half a file says nothing: the store closed the incident anyway
    const boost::json::object& object = json.get_object();
    const auto string = [&](const char* key) {
        const auto* value = object.if_contains(key);
        return value && value->is_string() ? std::string(value->get_string()) : std::string{};
    };
    const auto number = [&](const char* key) {
        const auto* value = object.if_contains(key);
        boost::system::error_code bad;
        const double n = value && value->is_number() ? value->to_number<double>(bad) : 0;
        return bad ? 0 : n;
    };
    LeftOver left;
    left.incident = string("incident");
    left.worker = string("worker");
    left.stage = string("stage");
    left.generation = static_cast<unsigned>(number("generation"));
    left.pid = static_cast<int>(number("pid"));
    left.server = static_cast<int>(number("server"));
    left.started_at = number("started_at");
    left.marked_at = number("marked_at");
    if (left.incident.empty()) return std::nullopt;
    return left;
}

} // namespace plimsoll::fleet
