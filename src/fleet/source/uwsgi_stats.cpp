#include "fleet/source/uwsgi_stats.hpp"

#include <algorithm>
#include <array>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/json.hpp>

#include "fleet/deadline.hpp"
#include "fleet/wait.hpp"

namespace plimsoll::fleet {

namespace {

constexpr std::size_t largest_document = 16 << 20; // a thousand workers with their cores' last requests

std::int64_t number(const boost::json::object& object, const char* key) {
    const auto* value = object.if_contains(key);
    return value && value->is_int64() ? value->get_int64() : 0;
}

} // namespace

std::optional<std::vector<UwsgiWorker>> parse_uwsgi_stats(std::string_view text) {
    boost::system::error_code ec;
    const boost::json::value document = boost::json::parse(boost::json::string_view(text.data(), text.size()), ec);
    if (ec || !document.is_object()) return std::nullopt;
    const auto* list = document.get_object().if_contains("workers");
    if (!list || !list->is_array()) return std::nullopt;
    std::vector<UwsgiWorker> workers;
    for (const auto& each : list->get_array()) {
        if (!each.is_object()) return std::nullopt;
        const boost::json::object& object = each.get_object();
        UwsgiWorker worker;
        worker.id = static_cast<unsigned>(number(object, "id"));
        worker.pid = static_cast<int>(number(object, "pid"));
        worker.accepting = number(object, "accepting") != 0;
        if (object.contains("delta_requests"))
            worker.requests = static_cast<std::uint64_t>(std::max<std::int64_t>(0, number(object, "delta_requests")));
        const auto* cores = object.if_contains("cores");
        if (cores && cores->is_array() && !cores->get_array().empty())
            worker.cores = static_cast<unsigned>(cores->get_array().size());
        workers.push_back(worker);
    }
    return workers;
}

asio::awaitable<std::optional<std::vector<UwsgiWorker>>> read_uwsgi_stats(std::string path, Duration bound) {
    using Protocol = asio::local::stream_protocol;
    Protocol::socket socket(co_await asio::this_coro::executor);
    const Deadline deadline(socket, bound);
    const Protocol::endpoint endpoint(path);
    const auto [connect_ec] = co_await socket.async_connect(endpoint, as_result);
    if (connect_ec) co_return std::nullopt;
    std::string text;
    std::vector<char> buffer(65536);
    while (text.size() < largest_document) {
        const auto [ec, size] = co_await socket.async_read_some(asio::buffer(buffer), as_result);
        text.append(buffer.data(), size);
        if (ec == asio::error::eof) co_return parse_uwsgi_stats(text);
        if (ec) co_return std::nullopt;
    }
    co_return std::nullopt;
}

} // namespace plimsoll::fleet
